import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Ran, runClient } from "../kit/client.ts";
import { openQueueApi, type QueueApi } from "../kit/queue-api.ts";

/** Everything that a terminal obeys or hides, in one text. */
const EVIL = "a\x1b]0;title\x07b\x1b]52;c;eA==\x1b\\c\x1b[2Jd\u009b31me\u202ef\u2066g\u200bh\u0085i\x7f\r\nj";
const HIDDEN = /[\p{Cc}\u2028\u2029]|(?![\u200c\u200d])\p{Cf}/u;
/** Details of a log line that no program of ours writes. */
const ODD_ERRORS = [
  null,
  7,
  true,
  "text",
  [],
  {},
  { message: null },
  { message: { toString: 1 } },
  { message: [EVIL] },
];

describe("what others wrote", () => {
  let api: QueueApi;
  let cwd = "";
  let env: Record<string, string> = {};
  let pool = "";
  beforeAll(async () => {
    cwd = await mkdtemp(join(tmpdir(), "shown-text-"));
    api = await openQueueApi();
    pool = await api.queue.newPool();
    const { anonKey, serviceRoleKey } = api.keys;
    env = {
      SUPABASE_URL: api.url,
      SUPABASE_ANON_KEY: anonKey,
      SUPABASE_SERVICE_ROLE_KEY: serviceRoleKey,
      GPU_POOL: pool,
      TEMPORAL_ADDRESS: "127.0.0.1:1",
    };
  });
  afterAll(async () => {
    await api?.close();
    await rm(cwd, { recursive: true, force: true });
  });

  const run = (...args: string[]): Promise<Ran> => runClient(args, { cwd, env });
  function expectPlain({ stdout, stderr }: Ran, about: string): void {
    for (const line of `${stdout}\n${stderr}`.split("\n")) {
      expect({ about, line, hidden: HIDDEN.exec(line)?.index ?? null }).toMatchObject({ about, hidden: null });
    }
  }

  it("reaches no terminal as a control, from any command, and its JSON reads back the same", async () => {
    const worker = await api.queue.newWorker(pool);
    const task = await api.queue.addTask(pool, { params: { prompt: EVIL }, priority: 5 });
    const lease = await api.queue.lease(worker);
    await api.queue.fail(lease, EVIL, true);
    await api.giveToken(worker, "secret-of-a-worker");
    const line = { level: "ERROR", message: EVIL, metadata: { [EVIL]: EVIL, err: { message: EVIL } } };
    const logged = await api.asWorker("secret-of-a-worker").rpc("worker_logs", { p_worker_id: worker, p_logs: [line] });
    expect(logged.error).toBeNull();
    const commands = [
      ["logs"],
      ["tasks"],
      ["task", "show", task],
      ["workers"],
      ["worker", "show", worker],
      ["costs"],
      ["logs", "--worker", EVIL],
      ["task", "show", EVIL],
      ["status", "--pool", EVIL],
      [EVIL],
      ["tasks", `--${EVIL}`],
    ];
    for (const command of commands) {
      expectPlain(await run(...command), command.join(" "));
      expectPlain(await run(...command, "--json"), `${command.join(" ")} --json`);
    }
    const shown = JSON.parse((await run("task", "show", task, "--json")).stdout) as { params: unknown };
    expect(shown.params).toEqual({ prompt: EVIL });
    const lines = (await run("logs", "--worker", worker, "--json")).stdout.split("\n");
    expect(lines.map((each) => (JSON.parse(each) as { message: string }).message)).toContain(EVIL);
  });

  it("reaches no terminal from submit --wait, as text or as JSON", async () => {
    const worker = await api.queue.newWorker(pool);
    const url = `https://example.com/${EVIL}`;
    for (const json of [[], ["--json"]]) {
      const waiting = run("submit", "--prompt", "a cat", "--wait", ...json);
      await expect.poll(async () => (await api.queue.rows("select from tasks where status = 'Queued'")).length).toBe(1);
      const lease = await api.queue.lease(worker);
      await api.queue.rows("alter table tasks disable trigger user");
      await api.queue.rows(
        "update tasks set status = 'Complete', output_location = $2, worker_id = null where id = $1",
        [lease.task_id, url],
      );
      await api.queue.rows("alter table tasks enable trigger user");
      const ran = await waiting;
      expectPlain(ran, `submit --wait ${json.join()}`);
      expect(ran.exitCode).toBe(0);
      expect(ran.stdout).toContain("https://example.com/a");
      expect(ran.stdout.split("\n").length).toBe(1);
    }
  });

  it("blinds no reader: lines after a row that nobody could write are shown", async () => {
    const insert = (message: string, timestamp: string, metadata: unknown) =>
      api.queue.rows(
        "insert into system_logs (source_type, worker_id, log_level, message, timestamp, metadata) values ('worker', 'odd', 'INFO', $1, $2, $3)",
        [message, timestamp, JSON.stringify(metadata)],
      );
    for (const time of [
      "-infinity",
      "infinity",
      "4714-11-24 00:00:00+00 BC",
      "294276-12-31 23:59:59+00",
      "0044-03-15 BC",
    ]) {
      await insert(`at ${time}`, time, {});
    }
    for (const [index, err] of ODD_ERRORS.entries()) {
      await insert(`error ${index}`, "2026-01-01", { err, n: null, deep: { a: [1] } });
    }
    for (const metadata of [null, 1, "text", [1, 2], { "": null, __proto__: { toString: 1 }, pid: {} }]) {
      await insert(`metadata ${JSON.stringify(metadata)}`, "2026-01-01", metadata);
    }
    await insert("the last", "2026-01-01", {});
    const text = await run("logs", "--worker", "odd");
    expect({ exitCode: text.exitCode, lines: text.stdout.split("\n").length }).toEqual({ exitCode: 0, lines: 20 });
    expect(text.stdout).toContain("the last");
    expect(text.stdout).toContain("-infinity");
    const json = await run("logs", "--worker", "odd", "--json");
    expect(json.stdout.split("\n").map((line) => typeof JSON.parse(line))).toEqual(Array(20).fill("object"));
  });

  it("is refused where no reader could show it: a worker's log line has a time of the present", async () => {
    const worker = await api.queue.newWorker(pool);
    await api.giveToken(worker, "secret-of-another");
    const times = [
      "-infinity",
      "infinity",
      "0044-03-15 BC",
      "epoch",
      "1969-12-31",
      "294276-01-01",
      "now",
      "tomorrow",
      "x",
      5,
    ];
    const p_logs = times.map((timestamp) => ({ level: "INFO", message: `at ${timestamp}`, timestamp }));
    const { data, error } = await api.asWorker("secret-of-another").rpc("worker_logs", { p_worker_id: worker, p_logs });
    expect({ data, error }).toMatchObject({ data: { inserted: times.length }, error: null });
    const [{ sound }] = (await api.queue.rows(
      "select count(*)::int as sound from system_logs where worker_id = $1 and timestamp between now() - interval '1 hour' and now()",
      [worker],
    )) as [{ sound: number }];
    expect(sound).toBe(times.length);
  });
});
