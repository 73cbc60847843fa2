import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ClaimedTask, leaseArgs, openQueue, type Queue } from "../../kit/queue.ts";

type Lease = Pick<ClaimedTask, "task_id" | "lease_token">;

describe("a request to a paid service", () => {
  let queue: Queue;
  let pool: string;
  beforeAll(async () => {
    queue = await openQueue();
  });
  beforeEach(async () => {
    pool = await queue.newPool();
  });
  afterAll(() => queue?.close());

  async function started() {
    const id = await queue.addTask(pool);
    const worker = await queue.newWorker(pool);
    return { id, worker, lease: await queue.lease(worker) };
  }
  const keep = (lease: Lease, request: { p_request_id?: string; p_mark?: string }, service = "replicate") =>
    queue.call<{ held: boolean }>("keep_request", { ...leaseArgs(lease), p_service: service, ...request });
  const kept = (lease: Lease, service = "replicate") =>
    queue.call<Record<string, unknown>>("kept_request", { ...leaseArgs(lease), p_service: service });

  it("is kept before it is sent, and again with its id, as asked for once", async () => {
    const { lease } = await started();
    expect(await kept(lease)).toEqual({ held: true, task_status: "In Progress", request: null });
    expect(await keep(lease, { p_mark: "https://files/1" })).toEqual({ held: true });
    const before = await kept(lease);
    expect(before).toMatchObject({ request: { attempt: 1, request_id: null, mark: "https://files/1" } });
    await keep(lease, { p_mark: "https://files/1", p_request_id: "p1" });
    const { asked_at: askedAt } = before["request"] as { asked_at: string };
    expect(await kept(lease)).toMatchObject({ request: { attempt: 1, request_id: "p1", asked_at: askedAt } });
    expect(await kept(lease, "another service")).toMatchObject({ request: null });
    await keep(lease, {});
    expect(await kept(lease)).toMatchObject({ request: null });
  });

  it("invariant 5: is seen by the next attempt, and written by the one that holds the task", async () => {
    const { id, worker, lease: old } = await started();
    await keep(old, { p_request_id: "p1" });
    await queue.release(old);
    const lease = await queue.lease(worker);
    expect(await kept(lease)).toMatchObject({ held: true, request: { attempt: 1, request_id: "p1" } });
    expect(await keep(old, { p_request_id: "p2" })).toEqual({ held: false });
    expect(await keep({ ...lease, lease_token: randomUUID() }, { p_request_id: "p3" })).toEqual({ held: false });
    expect(await kept(old)).toMatchObject({ held: false, task_status: "In Progress", request: { request_id: "p1" } });
    await queue.rows("update tasks set status = 'Cancelled' where id = $1", [id]);
    expect(await kept(lease)).toMatchObject({ held: false, task_status: "Cancelled", request: { request_id: "p1" } });
  });

  it("goes with its task; nothing is said of a lease that does not exist", async () => {
    const { id, lease } = await started();
    await keep(lease, { p_request_id: "p1" });
    await queue.fail(lease, "no", true);
    await queue.rows("delete from tasks where id = $1", [id]);
    expect(await kept(lease)).toEqual({ held: false, task_status: null, request: null });
    expect(await queue.rows("select from service_requests where task_id = $1", [id])).toEqual([]);
  });

  it.each([
    [{ p_request_id: "x".repeat(501) }, "replicate", /^p_request_id: is too long/],
    [{ p_mark: "x".repeat(2_001) }, "replicate", /^p_mark: is too long/],
    [{ p_request_id: "p1" }, "", /^p_service: a name of 1 to 100 characters is expected/],
  ])("is refused where it is not plausible: %#", async (request, service, message) => {
    const { lease } = await started();
    await expect(keep(lease, request, service)).rejects.toMatchObject({
      code: "PT400",
      message: expect.stringMatching(message),
    });
    expect(await kept(lease)).toMatchObject({ request: null });
  });
});
