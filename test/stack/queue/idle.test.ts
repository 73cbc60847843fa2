import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openQueue, type Queue, type Session } from "../../kit/queue.ts";

describe("a claim that finds nothing", () => {
  let queue: Queue;
  let session: Session;
  let worker: string;
  beforeAll(async () => {
    queue = await openQueue();
    session = await queue.session();
    worker = await queue.newWorker(await queue.newPool());
  });
  afterAll(() => queue?.close());

  const claim = () => session.call("claim_task", { p_worker_id: worker });
  const idle = { worker_status: "active", task: null };

  it("writes nothing ahead and begins no transaction that would be committed to disk", async () => {
    const written = async () => {
      await session.rows("select pg_stat_force_next_flush()");
      const [row] = await session.rows("select wal_records::int, wal_bytes::int from pg_stat_get_backend_wal($1)", [
        session.pid,
      ]);
      return row;
    };
    // The first claims of a connection may set hint bits and prune pages.
    await claim();
    const before = await written();
    for (let n = 0; n < 100; n += 1) {
      expect(await claim()).toEqual(idle);
    }
    expect(await written()).toEqual(before);
    await session.rows("begin");
    await claim();
    expect(await session.rows("select pg_current_xact_id_if_assigned() as id")).toEqual([{ id: null }]);
    await session.rows("commit");
  });

  it("locks no row: a drain does not wait for it, and neither does another claim", async () => {
    await session.rows("begin");
    expect(await claim()).toEqual(idle);
    const lock = "select id from workers where id = $1 for update nowait";
    expect(await queue.rows(lock, [worker])).toEqual([{ id: worker }]);
    await session.rows("commit");
  });
});
