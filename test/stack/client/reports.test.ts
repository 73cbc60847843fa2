import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClientOfQueue, openClientOfQueue } from "../../kit/queues/client-of-queue.ts";

const DAY_MS = 86_400_000;
/** Three days ago, so that no hour of it lies ahead. */
const DAY = new Date(Date.now() - 3 * DAY_MS).toISOString().slice(0, 10);
const P1 = "0000000a-0000-4000-8000-000000000000";
const P2 = "0000000b-0000-4000-8000-000000000000";

let client: ClientOfQueue;

beforeAll(async () => {
  client = await openClientOfQueue();
});
afterAll(() => client?.close());

/** Three workers of one day, in two pools of their own; one has no known price, one no task. */
async function writeDay(): Promise<void> {
  const at = (time: string) => `${DAY}T${time}:00Z`;
  const nextDay = new Date(Date.parse(at("00:00")) + DAY_MS).toISOString();
  const worker = `insert into workers (id, pool, status, origin, instance_type, cost_per_hr_usd, created_at, pod_created_at, ready_at,
    deleted_at, gone_at) values ($1, $2, 'terminated', 'pool', $3, $4, $5, $5, $6, $7, $7)`;
  const task = `insert into tasks (id, task_type, project_id, pool, status, created_at, generation_processed_at, worker_id, parent_id,
    lease_token, leases, claimable_at, leased_at, lease_ended_at, result_data, params)
    values ($1, $2, $3, 'days', 'Complete', $4, $6, $7, $8, case when $7::text is null then null else gen_random_uuid() end, 1, $4, $5,
    $6, $9, '{"model": "wan"}')`;
  const [film, travel, segment] = [randomUUID(), randomUUID(), randomUUID()];
  await client.write(
    ["insert into pools (name) values ('days'), ('nights')"],
    ["insert into projects (id, name) values ($1, 'one'), ($2, 'two')", P1, P2],
    [worker, "days-00000001", "days", "L40S", 1, at("01:00"), at("01:15"), at("04:00")],
    [worker, "nights-00000002", "nights", "RTX 4090", null, at("10:00"), at("10:05"), at("11:00")],
    [worker, "nights-00000003", "nights", "L40S", 2, at("22:00"), at("22:30"), nextDay.replace("T00:00", "T02:00")],
    [task, film, "t2v", P1, at("01:29"), at("01:30"), at("02:30"), "days-00000001", null, '{"duration_seconds": 60}'],
    [task, travel, "travel_orchestrator", P2, at("01:00"), null, at("03:30"), null, null, '{"duration_seconds": 120}'],
    [
      task,
      segment,
      "travel_segment",
      P2,
      at("02:40"),
      at("03:00"),
      at("03:30"),
      "days-00000001",
      travel,
      '{"duration_seconds": 120}',
    ],
  );
}

interface Costs {
  readonly totalUsd: number;
  readonly costs: readonly { readonly of: string; readonly usd: number | null; readonly finished: number }[];
}

describe("gpu-pool costs", () => {
  beforeAll(writeDay);
  const byOf = ({ costs }: Costs) => costs.map(({ of, usd, finished }) => [of, usd, finished]);

  it("say what a day cost, what of it was idle, and what a task and a minute of video cost", async () => {
    const costs = await client.runJson<Costs>("costs", "--day", DAY);
    expect(costs).toMatchObject({
      totalUsd: 7,
      idleUsd: 5.5,
      bootUsd: 1.25,
      withoutTaskUsd: 4,
      workers: 3,
      unpriced: 1,
    });
    expect(costs).toMatchObject({
      finished: 2,
      videos: 2,
      videoSec: 180,
      usdPerFinishedTask: 3.5,
      usdPerVideoMinute: 2.333333,
    });
    expect(byOf(costs)).toEqual([
      ["nights", 4, 0],
      ["days", 3, 2],
    ]);
    const { stdout, stderr } = await client.run(["costs", "--day", DAY]);
    expect(stdout.split("\n").slice(0, 3)).toEqual([
      `$7.00 on ${DAY} (UTC), all pools`,
      "$5.50 of it idle (79 %), $1.25 of that booting",
      "2 tasks finished, $3.5000 each, $2.3333 a minute of finished video",
    ]);
    expect(stderr).toBe("the price of 1 of 3 workers is not known");
  });

  it("are nothing for a worker without a pod, as a machine of one's own, and leave out workers of a later time", async () => {
    const eve = new Date(Date.parse(DAY) - 20 * DAY_MS).toISOString().slice(0, 10);
    await client.write([
      `insert into workers (id, pool, status, origin, created_at, ready_at, gone_at)
       values ('box-one', 'days', 'terminated', 'external', $1, $1, $2)`,
      `${eve}T10:00:00Z`,
      `${eve}T12:00:00Z`,
    ]);
    const costs = await client.runJson<{ costs: unknown[] }>("costs", "--day", eve, "--by", "worker");
    expect(costs).toMatchObject({ totalUsd: 0, idleUsd: 0, unpriced: 0, costs: [{ of: "box-one", billedMs: 0 }] });
  });

  it("are shared out by day, worker, GPU, project, type and task, a sub-task's for its orchestrator task", async () => {
    const by = async (what: string, ...args: string[]) =>
      byOf(await client.runJson<Costs>("costs", "--by", what, ...args));
    expect(await by("gpu", "--day", DAY)).toEqual([
      ["L40S", 7, 2],
      ["RTX 4090", null, 0],
    ]);
    expect(await by("worker", "--day", DAY, "--pool", "days")).toEqual([["days-00000001", 3, 2]]);
    expect(await by("project", "--day", DAY)).toEqual([
      [P1, 2, 1],
      [P2, 1, 1],
    ]);
    expect(await by("type", "--day", DAY)).toEqual([
      ["t2v", 2, 1],
      ["travel_orchestrator", 1, 1],
    ]);
    expect((await by("task", "--day", DAY)).map(([, usd]) => usd)).toEqual([2, 1]);
    const days = await by("day", "--since", "5d");
    expect(days.slice(-2)).toEqual([
      [new Date(Date.parse(DAY) + DAY_MS).toISOString().slice(0, 10), 4, 0],
      [DAY, 7, 2],
    ]);
    const tasks = await client.run(["costs", "--by", "task", "--day", DAY, "--limit", "1"]);
    expect(tasks.stderr).toContain("$4.0000 are of workers that held no task in this time");
    expect(tasks.stderr).toContain("the dearest 1 of 2; --limit shows more");
  });

  it("refuse a sharing or a day that there is not, and a pool that nobody made", async () => {
    expect(await client.run(["costs", "--by", "moon"])).toMatchObject({ exitCode: 2 });
    expect(await client.run(["costs", "--day", "2026-13-01"])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("Expected today, yesterday, or a date") as string,
    });
    expect(await client.run(["costs", "--since", "500d"])).toMatchObject({ exitCode: 2 });
    expect(await client.run(["costs", "--pool", "nowhere"])).toMatchObject({ exitCode: 3 });
  });
});

describe("gpu-pool tasks", () => {
  interface Listed {
    readonly id: string;
    readonly status: string;
    readonly task_type: string;
  }
  const list = async (...args: string[]) => client.runJson<Listed[]>("tasks", "--pool", "old", ...args);
  beforeAll(async () => {
    const ages = ["10 minutes", "3 hours", "2 days", "20 days", "60 days", "200 days"];
    const task = `insert into tasks (task_type, pool, project_id, status, created_at, updated_at, error_message, leases)
      values ($1, 'old', $2, $3, now() - $4::interval, now(), $5, 0)`;
    await client.write(
      ["insert into pools (name) values ('old'), ('many')"],
      ...ages.map(
        (age, n) => [task, `type-${n}`, P1, n % 2 === 0 ? "Complete" : "Failed", age, `no file /a/${n}`] as const,
      ),
      [
        `insert into tasks (task_type, pool, project_id, created_at)
         select 't2v', 'many', $1, now() - interval '2 hours' from generate_series(1, 1205)`,
        P1,
      ],
    );
  });

  it("are listed newest first, however old they are, and narrowed by age, status, type and project", async () => {
    expect((await list()).map(({ task_type: type }) => type)).toEqual([0, 1, 2, 3, 4, 5].map((n) => `type-${n}`));
    expect((await list("--limit", "3")).map(({ task_type: type }) => type)).toEqual(["type-0", "type-1", "type-2"]);
    expect(await list("--since", "5d", "--status", "failed")).toMatchObject([{ task_type: "type-1" }]);
    expect(await list("--type", "type-5", "--project", P1)).toHaveLength(1);
    expect(await list("--project", P2)).toEqual([]);
  });

  it("show failed ones before the others where that is asked", async () => {
    const types = (await list("--failed-first", "--limit", "4")).map(({ task_type: type }) => type);
    expect(types).toEqual(["type-1", "type-3", "type-5", "type-0"]);
    expect(await list("--failed-first", "--status", "complete", "--limit", "1")).toMatchObject([
      { task_type: "type-0" },
    ]);
  });

  it("are all listed, each once, where many have the same age", async () => {
    const ids = (await client.runJson<Listed[]>("tasks", "--pool", "many", "--limit", "1203")).map(({ id }) => id);
    expect(new Set(ids).size).toBe(1203);
    expect(ids).toEqual(ids.toSorted());
  });

  it("have statistics by type and model, and alike failures are one cause", async () => {
    const pools = ["--pool", "old", "--since", "300d"];
    const stats = await client.runJson<{ causes: object[] }>("tasks", "stats", ...pools);
    expect(stats).toMatchObject({ total: { tasks: 6, complete: 3, failed: 3 }, kindsLeftOut: 0 });
    expect(stats.causes).toMatchObject([
      { likeness: "no file <path>", failed: 3, attempts: 0, types: 3, example: "no file /a/1" },
    ]);
    const day = await client.runJson<object>("tasks", "stats", "--pool", "days", "--since", "9d", "--type", "t2v");
    expect(day).toMatchObject({
      kinds: [{ taskType: "t2v", model: "wan", waitedSec: [60, 60], ranSec: [3600, 3600] }],
    });
    const { stdout } = await client.run(["tasks", "stats", ...pools, "--limit", "2"]);
    expect(stdout).toMatch(/^6 tasks \(3 complete, 3 failed\) in the last 300d00h\n/);
    expect(stdout).toMatch(/^ +3 +0 +type-1 and 2 more .* no file <path>$/m);
    expect(await client.run(["tasks", "stats", "--status", "failed"])).toMatchObject({ exitCode: 2 });
    expect(await client.run(["tasks", "stats", "--db-type", "sqlite"])).toMatchObject({ exitCode: 2 });
    expect((await client.run(["tasks", "stats", "--since", "1m", "--pool", "old"])).stderr).toContain(
      "no task of the last 1m00s",
    );
  });

  it.each([
    ["CUDA out of memory: 2048 MiB on GPU 0", "CUDA out of memory: <n> MiB on GPU <n>"],
    ["cannot read 'C:\\\\w\\\\a b.png'", "cannot read '<path> b.png'"],
    ["worker main-0a1b2c3d died at 12.5%", "worker main-<id> died at <n>%"],
    ["GET https://x.example/a?b=1 answered 503", "GET <url> answered <n>"],
    [`task ${P1}  is\ngone`, "task <id> is gone"],
    ["and/or", "and/or"],
  ])("have the failure %j counted as %j", async (text, likeness) => {
    const query = "select failure_likeness($1) as likeness";
    expect(await client.queue.one<{ likeness: string }>(query, [text])).toEqual({ likeness });
  });
});

describe("gpu-pool workers", () => {
  it("are listed by phase, GPU and silence, with the model of their task", async () => {
    const some = await client.queue.newPool();
    const [first = "", second = ""] = await client.queue.newWorkers(some, 2, { instance_type: "NVIDIA L40S" });
    await client.queue.rows("update workers set last_heartbeat = now() - interval '5 minutes' where id = $1", [second]);
    await client.queue.newWorker(some, { status: "spawning", instance_type: "RTX 4090" });
    await client.queue.addTask(some, { params: { model: "wan-14b" } });
    await client.queue.lease(first);
    const phases = async (...args: string[]) =>
      (await client.runJson<{ phase: string }[]>("workers", "--pool", some, ...args))
        .map(({ phase }) => phase)
        .toSorted();
    expect(await phases()).toEqual(["busy", "idle", "spawning"]);
    expect(await phases("--phase", "active")).toEqual(["busy", "idle"]);
    expect(await phases("--gpu", "4090")).toEqual(["spawning"]);
    expect(await phases("--silent", "1m")).toEqual(["idle"]);
    const { stdout } = await client.run(["workers", "--pool", some, "--phase", "busy"]);
    expect(stdout).toContain("wan-14b");
    const limited = await client.run(["workers", "--pool", some, "--limit", "1"]);
    expect(limited.stderr).toBe("the oldest 1 of 3; --limit shows more");
    expect(await client.run(["workers", "--phase", "asleep"])).toMatchObject({ exitCode: 2 });
    expect((await client.run(["workers", "--pool", some, "--phase", "gone"])).stderr).toBe("no worker matches");
  });
});
