import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { createLightPodLauncher } from "../../../src/simulator/light-pod.ts";
import { countEvents, expectNothingLeft, livingWorkers, workerStates } from "../../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

/** Its pods only send heartbeats. The test works in their names, as workers of the old protocol do. */
describe("a pool of workers of the old protocol", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({
      launch: createLightPodLauncher(),
      env: { MIN_ACTIVE_GPUS: "2", MAX_ACTIVE_GPUS: "2", TASK_STUCK_TIMEOUT_SEC: "2" },
    });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  const rest = async (method: string, path: string, body: object) => {
    const headers = {
      apikey: stack.keys.serviceRoleKey,
      authorization: `Bearer ${stack.keys.serviceRoleKey}`,
      "content-type": "application/json",
    };
    const answer = await fetch(`${stack.api}/rest/v1/${path}`, { method, headers, body: JSON.stringify(body) });
    expect([path, answer.ok]).toEqual([path, true]);
    const text = await answer.text();
    return text === "" ? null : JSON.parse(text);
  };
  const activeWorkers = async (): Promise<[string, string]> => {
    let ids: string[] = [];
    await expect
      .poll(async () => {
        ids = (await livingWorkers(stack)).filter(({ status }) => status === "active").map(({ id }) => id);
        return ids.length;
      })
      .toBe(2);
    return [ids[0] ?? "", ids[1] ?? ""];
  };
  const submit = async (type: string, count: number) =>
    await stack.rows("insert into tasks (task_type, pool, params) select $1, $2, '{}' from generate_series(1, $3)", [
      type,
      stack.pool,
      count,
    ]);
  const claim = async (worker: string): Promise<string> => {
    const [lease] = await rest("POST", "rpc/func_claim_available_task", { worker_id_param: worker });
    return (lease as { id: string }).id;
  };
  const complete = async (worker: string, type: string) => {
    await submit(type, 1);
    await rest("POST", "rpc/func_mark_task_complete", { p_task_id: await claim(worker), p_result: {} });
  };
  const fail = async (worker: string, type: string, count: number) => {
    await submit(type, count);
    const ids = new Set<string>();
    for (let n = 0; n < count; n++) {
      const id = await claim(worker);
      ids.add(id);
      await rest("PATCH", `tasks?id=eq.${id}`, { status: "Failed", error_message: "CUDA error" });
    }
    return [...ids];
  };
  const openAlerts = () => stack.rows("select kind, subject from alerts where closed_at is null");
  const ended = async (worker: string) => {
    await expect.poll(async () => (await workerStates(stack)).find(({ id }) => id === worker)?.gone).toBe(true);
    return (await workerStates(stack)).find(({ id }) => id === worker);
  };

  it("ends the one that fails everything while another works, and puts its tasks back", async () => {
    const [bad, good] = await activeWorkers();
    await complete(good, "vace");
    const failed = await fail(bad, "vace", 3);
    expect(await ended(bad)).toMatchObject({
      status: "error",
      status_reason:
        "it is sick: it failed 3 different tasks in a row within 10 min, and another worker completes tasks of the same types",
    });
    const tasks = await stack.rows("select status, attempts from tasks where id = any($1)", [failed]);
    expect(tasks).toEqual(Array(3).fill({ status: "Queued", attempts: 0 }));
    expect(await countEvents(stack, "task.reopened")).toBe(3);
    await stack.rows("update tasks set status = 'Cancelled' where status = 'Queued'");
  });

  it("alerts while nobody completes such tasks, and decides when another worker does", async () => {
    const [bad, good] = await activeWorkers();
    // The blast radius allows one end in five minutes in a pool of this size.
    await stack.rows("update workers set failed_at = failed_at - interval '6 minutes' where failed_at is not null");
    await fail(bad, "flux", 4);
    await expect.poll(openAlerts).toEqual([{ kind: "worker_sick", subject: bad }]);
    expect((await workerStates(stack)).find(({ id }) => id === bad)?.status).toBe("active");
    await complete(good, "flux");
    expect(await ended(bad)).toMatchObject({ status: "error", status_reason: expect.stringMatching(/^it is sick/) });
    await expect.poll(openAlerts).toEqual([]);
    await stack.rows("update tasks set status = 'Cancelled' where status = 'Queued'");
  });

  it("ends the one that reports itself broken, in its own words, and lets a long render go on", async () => {
    const [broken, rendering] = await activeWorkers();
    await submit("vace", 1);
    const render = await claim(rendering);
    await rest("POST", "rpc/func_worker_heartbeat_with_logs", {
      worker_id_param: rendering,
      logs_param: [{ level: "INFO", message: "loading the model", task_id: render }],
    });
    await stack.rows("update tasks set leased_at = now() - interval '50 minutes' where id = $1", [render]);
    await rest("PATCH", `workers?id=eq.${broken}`, {
      status: "error",
      metadata: { error_reason: "CUDA error: device-side assert", self_terminated: true },
    });
    expect(await ended(broken)).toMatchObject({
      status: "error",
      status_reason: "it reported itself error: CUDA error: device-side assert",
    });
    // The replacement came by full passes of the watch, each of which judged the render too.
    await activeWorkers();
    expect(await stack.rows("select cause from task_attempts where task_id = $1", [render])).toEqual([{ cause: null }]);
    await rest("POST", "rpc/func_mark_task_complete", { p_task_id: render, p_result: {} });
    await stack.db.call("pool_set_intent", { p_pool: stack.pool, p_kind: "shutdown", p_mode: "closing" }, z.unknown());
    await expectNothingLeft(stack);
  });
});
