import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi } from "../../kit/api.ts";
import type { ClaimedTask } from "../../kit/queue.ts";
import { anything, ID, SEED } from "../../kit/queues/odd-values.ts";

const subTask = fc.record(
  {
    id: fc.oneof({ weight: 3, arbitrary: fc.uuid() }, { weight: 1, arbitrary: fc.constantFrom(ID, "", null) }),
    task_type: fc.oneof({ weight: 3, arbitrary: fc.constant("t") }, { weight: 1, arbitrary: anything }),
    params: fc.oneof(fc.constant({}), fc.dictionary(fc.string({ unit: "binary" }), anything)),
    dependant_on: fc.option(fc.uuid()),
    after_siblings: fc.boolean(),
  },
  { requiredKeys: ["id", "task_type", "params"] },
);
const subTasks = fc.oneof(anything, fc.array(fc.oneof(subTask, anything), { maxLength: 4 }));
/** Only these reach what is behind the first check of a function. */
const LIKELY: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  p_sub_tasks: subTasks,
  sub_tasks: subTasks,
  p_progress: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), anything),
  progress: fc.oneof(fc.double({ min: 0, max: 1, noNaN: true }), anything),
  status: fc.oneof(fc.constantFrom("Failed", "Queued", "In Progress", "Complete"), anything),
  p_permanent: fc.boolean(),
  permanent: fc.boolean(),
  content_type: fc.oneof(fc.constant("video/mp4"), anything),
};
const FUNCTIONS: Readonly<Record<string, readonly string[]>> = {
  "complete-task": ["storage_path", "thumbnail_storage_path", "result_data", "file_data", "filename"],
  "delegate-task": ["sub_tasks", "result_task_id"],
  "generate-upload-url": ["filename", "content_type", "thumbnail_filename"],
  "mark-task-failed": ["error_message", "permanent"],
  "update-task-status": ["status", "output_location", "progress", "thumbnail_url"],
};

describe("invariant 16: whatever the holder of a lease says of its task", () => {
  let api: PeopleApi;
  beforeAll(async () => {
    api = await openPeopleApi();
  });
  afterAll(() => api?.close());

  const lease = async () => {
    const pool = await api.queue.newPool();
    const worker = await api.queue.newWorker(pool);
    await api.queue.addTask(pool, { task_type: "travel_orchestrator" });
    return await api.queue.lease(worker);
  };
  const rpc = async (name: string, args: object) => {
    const key = api.keys.serviceRoleKey;
    const response = await fetch(`${api.url}/rest/v1/rpc/${name}`, {
      method: "POST",
      headers: { apikey: key, authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(args),
    });
    return { status: response.status, body: await response.text() };
  };
  const someOf = (names: readonly string[]) =>
    fc.record(Object.fromEntries(names.map((name) => [name, LIKELY[name] ?? anything])), { requiredKeys: [] });

  /** Its last word is always taken, and nothing of its graph waits for ever. */
  async function endsWith({ task_id: id, lease_token: token }: ClaimedTask) {
    const fail = { p_task_id: id, p_lease_token: token, p_error: "over", p_permanent: true };
    expect((await rpc("fail_task", fail)).status).toBe(200);
    const stuck = await api.queue.rows(
      `select id from tasks t where parent_id = $1 and gate = 'blocked' and status = 'Queued' and not exists (
         select from tasks o where (o.id = t.dependant_on or t.after_siblings and o.parent_id = $1 and o.id <> t.id)
           and o.status in ('Queued', 'In Progress'))`,
      [id],
    );
    expect(stuck).toEqual([]);
  }

  it("is stored or refused by the database's functions, and the last word is taken", async () => {
    const functions = await api.queue.rows<{ name: string; parameters: string[] }>(
      `select proname as name, proargnames[1:pronargs] as parameters from pg_proc
       where pronamespace = 'public'::regnamespace and 'p_lease_token' = any (proargnames)
         and has_function_privilege('service_role', oid, 'execute') order by 1`,
    );
    expect(functions.length).toBeGreaterThan(10);
    const call = fc.constantFrom(...functions).chain(({ name, parameters }) => {
      const free = parameters.filter((each) => each !== "p_task_id" && each !== "p_lease_token");
      return fc.tuple(fc.constant(name), someOf(free));
    });
    await fc.assert(
      fc.asyncProperty(call, async ([name, args]) => {
        const held = await lease();
        const given = { ...args, p_task_id: held.task_id, p_lease_token: held.lease_token };
        const { status, body } = await rpc(name, given);
        expect({ name, given, body, isAnswered: status < 500 }).toMatchObject({ isAnswered: true });
        await endsWith(held);
      }),
      { seed: SEED, numRuns: 100 },
    );
  });

  it("is stored by the edge functions, or refused with the field's name, and the last word is taken", async () => {
    const call = fc
      .constantFrom(...Object.entries(FUNCTIONS))
      .chain(([name, fields]) => fc.tuple(fc.constant(name), someOf(fields)));
    await fc.assert(
      fc.asyncProperty(call, async ([name, fields]) => {
        const held = await lease();
        const given = { ...fields, task_id: held.task_id, lease_token: held.lease_token };
        const { status, body } = await api.call(name, api.keys.serviceRoleKey, given);
        const isNamed = status !== 400 || typeof (body as { field?: unknown }).field === "string";
        expect({ name, given, body, isGood: status < 500 && isNamed }).toMatchObject({ isGood: true });
        await endsWith(held);
      }),
      { seed: SEED, numRuns: 60 },
    );
  });

  it("names the sub-task that cannot be written", async () => {
    const { task_id: id, lease_token: token } = await lease();
    const good = { id: randomUUID(), task_type: "t", params: {} };
    const bad = { id: randomUUID(), task_type: "t", params: { seed: 2 ** 60 } };
    const body = { task_id: id, lease_token: token, sub_tasks: [good, bad] };
    const answer = await api.call("delegate-task", api.keys.serviceRoleKey, body);
    expect(answer).toMatchObject({ status: 400, body: { field: expect.stringMatching(/./) } });
  });
});
