import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

interface Answer {
  readonly leader: boolean;
  readonly wake: readonly string[];
}

describe("worker processes in the database", () => {
  let queue: Queue;
  beforeAll(async () => {
    queue = await openQueue();
  });
  afterAll(() => queue?.close());
  beforeEach(async () => {
    await queue.rows("delete from worker_processes");
  });

  const beat = async (process: string, woken: readonly string[] = []) =>
    await queue.call<Answer>("process_beat", {
      p_process: process,
      p_host: "host",
      p_pid: 1,
      p_version: "0.1.0",
      p_task_queue: "gpu-pool",
      p_woken: `{${woken.join(",")}}`,
    });
  const end = async (process: string) => await queue.call("process_end", { p_process: process });
  const silent = async (process: string, sec: number) =>
    await queue.rows("update worker_processes set seen_at = seen_at - make_interval(secs => $2) where id = $1", [
      process,
      sec,
    ]);

  it("have one leader, which leads until it stops; then the next one that gives a sign of life leads", async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    expect(await beat(first)).toEqual({ leader: true, wake: [] });
    expect(await beat(second)).toEqual({ leader: false, wake: [] });
    expect(await beat(first)).toMatchObject({ leader: true });
    await end(first);
    expect(await queue.rows("select id from worker_processes")).toEqual([{ id: second }]);
    expect(await beat(second)).toMatchObject({ leader: true });
  });

  it("replace a leader that was silent for 30 seconds; it does not lead when it comes back", async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    await beat(first);
    await beat(second);
    await silent(first, 29);
    expect(await beat(second)).toMatchObject({ leader: false });
    await silent(first, 1);
    expect(await beat(second)).toMatchObject({ leader: true });
    expect(await beat(first)).toMatchObject({ leader: false });
  });

  it("open an alert where the disk of their host is full, which closes with room on it or ten minutes after the last of them", async () => {
    const process = randomUUID();
    const open = () =>
      queue.rows("select subject, message from alerts where kind = 'host_disk_full' and closed_at is null");
    const full = { subject: "small", message: "less than 5 % of the disk of this Temporal worker's host are free" };
    const beats = async (free: number | null, host = "small") =>
      await queue.call("process_beat", {
        p_process: host === "small" ? process : randomUUID(),
        p_host: host,
        p_pid: 1,
        p_version: "0.1.0",
        p_task_queue: "gpu-pool",
        p_disk_free: free,
      });
    const seen: unknown[][] = [];
    for (const free of [0.5, 0.06, 0.049, 0.06, null, 0.08, 0.01]) {
      await beats(free);
      seen.push(await open());
    }
    expect(seen).toEqual([[], [], [full], [full], [full], [], [full]]);
    await silent(process, 599);
    await beats(0.5, "other");
    expect(await open()).toEqual([full]);
    await silent(process, 2);
    await beats(0.5, "other");
    expect(await open()).toEqual([]);
  });

  it("have one leader where many begin at the same time", async () => {
    const processes = Array.from({ length: 20 }, () => randomUUID());
    const answers = await Promise.all(processes.map(async (process) => await beat(process)));
    expect(answers.filter(({ leader }) => leader)).toHaveLength(1);
  });

  it("are told of a pool that is to be woken, one of them, until it says that it was", async () => {
    const pool = await queue.newPool();
    const [first, second] = [randomUUID(), randomUUID()];
    await queue.rows("insert into wake_requests (pool) values ($1)", [pool]);
    expect(await beat(first)).toMatchObject({ wake: [pool] });
    expect(await beat(second)).toMatchObject({ wake: [] });
    await queue.rows("update wake_requests set taken_at = taken_at - interval '15 seconds'");
    expect(await beat(second)).toMatchObject({ wake: [pool] });
    expect(await beat(second, [pool])).toMatchObject({ wake: [] });
    expect(await queue.rows("select from wake_requests")).toEqual([]);
  });

  it("are told again of a pool that was asked for after its cycle had begun", async () => {
    const pool = await queue.newPool();
    const process = randomUUID();
    await queue.rows("insert into wake_requests (pool) values ($1)", [pool]);
    await beat(process);
    await queue.rows("update wake_requests set requested_at = clock_timestamp()");
    expect(await beat(process, [pool])).toMatchObject({ wake: [pool] });
    expect(await beat(process, [pool])).toMatchObject({ wake: [] });
  });
});
