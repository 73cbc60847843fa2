import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FUNCTIONS } from "../../../supabase/functions/_shared/functions.ts";
import { poolWorkflowId, workerWorkflowId } from "../../../src/contract/names.ts";
import { poolQueries, poolUpdates } from "../../../src/contract/pool-api.ts";
import { livingWorkers } from "../../kit/lifecycle.ts";
import { createLightPodLauncher } from "../../../src/simulator/light-pod.ts";
import { anything, oddText, SEED } from "../../kit/queues/odd-values.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

const body = fc.oneof({ weight: 1, arbitrary: anything }, { weight: 3, arbitrary: fc.dictionary(oddText, anything) });

interface Callable {
  readonly name: string;
  readonly parameters: readonly string[] | null;
}

describe("whatever is put into any door", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ launch: createLightPodLauncher() });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  const pool = () => stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));

  // The server fails a workflow task during which more than 2 MB of signals came, and takes no update until the next one.
  const order = async (name: string, payload: unknown) => {
    const answer = async () =>
      await pool()
        .executeUpdate(name, { args: [payload] })
        .then(() => "obeyed", String);
    await expect.poll(answer).toBe("obeyed");
  };

  async function send(method: string, path: string, content: unknown): Promise<{ status: number; said: string }> {
    const key = stack.keys.serviceRoleKey;
    const response = await fetch(`${stack.api}${path}`, {
      method,
      headers: { apikey: key, authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(content),
    });
    return { status: response.status, said: (await response.text()).slice(0, 500) };
  }

  async function answerTo(method: string, path: string, content: unknown) {
    const { status, said } = await send(method, path, content);
    const saysWhy = status < 400 || /field|error|message/.test(said);
    const asked = `${method} ${path} ${JSON.stringify(content).slice(0, 500)}`;
    return { asked, status, said, isGood: status < 500 && saysWhy };
  }

  it("tables and database functions store it or refuse it", async () => {
    const columns = await stack.rows<{ name: string; column: string }>(
      `select table_name as name, column_name as column from information_schema.columns join pg_class c
         on c.oid = ('public.' || table_name)::regclass and c.relkind = 'r'
       where table_schema = 'public' and table_name in ('tasks', 'workers', 'projects', 'system_logs', 'notification_endpoints')`,
    );
    const functions = await stack.rows<Callable>(
      `select proname as name, proargnames[1:pronargs] as parameters from pg_proc
       where pronamespace = 'public'::regnamespace and prorettype <> 'trigger'::regtype and pronargs > 0
         and has_function_privilege('service_role', oid, 'execute')
         and proname not in ('clean_up_table', 'func_cleanup_old_logs')
         -- They are orders about the whole account or deployment, and are obeyed.
         and proname not in ('note_no_funds', 'set_alert_webhook', 'set_deployment_id')`,
    );
    expect(functions.length).toBeGreaterThan(80);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...columns), anything, fc.boolean(), async ({ name, column }, value, isNew) => {
        const needed = name === "tasks" ? { task_type: "odd", pool: `${stack.pool}-odd` } : {};
        const path = `/rest/v1/${name}${isNew ? "" : "?id=is.null"}`;
        expect(await answerTo(isNew ? "POST" : "PATCH", path, { ...needed, [column]: value })).toMatchObject({
          isGood: true,
        });
      }),
      { seed: SEED, numRuns: 60 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...functions),
        fc.array(anything, { minLength: 14, maxLength: 14 }),
        async ({ name, parameters }, values) => {
          const given = (parameters ?? []).map((parameter, place) => [parameter, values[place % values.length]]);
          expect(await answerTo("POST", `/rest/v1/rpc/${name}`, Object.fromEntries(given))).toMatchObject({
            isGood: true,
          });
        },
      ),
      { seed: SEED, numRuns: 120 },
    );
  });

  it("edge functions and the API answer with what was asked or with a refusal", async () => {
    const doors = [...Object.keys(FUNCTIONS).map((name) => `/functions/v1/${name}`), "/api/tasks"];
    const fields = [
      "task_id",
      "worker_id",
      "task_type",
      "params",
      "dependant_on",
      "status",
      "error_message",
      "filename",
    ];
    const likely = fc.dictionary(fc.constantFrom(...fields), anything);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...doors), fc.oneof(body, likely), async (path, content) => {
        const answer = await answerTo("POST", path, content);
        expect(answer).toMatchObject({ isGood: true });
        // What PostgREST says of text that was not made storable.
        expect(answer.said).not.toContain("Empty or invalid json");
      }),
      { seed: SEED, numRuns: 80 },
    );
  });

  it("invariants 16 and 17: a pool ignores it, and obeys the next order", async () => {
    const names = fc.oneof(fc.constantFrom("scale", "pause", "drain", "resume", "__temporal_x"), oddText);
    const updates = fc.constantFrom(...Object.keys(poolUpdates).filter((name) => name !== "shutdown"));
    const outcomes: unknown[] = [];
    const note = (error: unknown) => void outcomes.push(error instanceof Error ? error.name : error);
    // A name that the server does not take never reaches the pool.
    const signal = async (name: string, payload: unknown): Promise<void> =>
      await pool().signal(name, payload).catch(note);
    await fc.assert(fc.asyncProperty(names, body, signal), { seed: SEED, numRuns: 60 });
    const update = async (name: string, payload: unknown): Promise<void> =>
      await pool()
        .executeUpdate(name, { args: [payload] })
        .then(() => undefined, note);
    await fc.assert(fc.asyncProperty(updates, body, update), { seed: SEED, numRuns: 60 });
    expect(outcomes.filter((name) => name !== "WorkflowUpdateFailedError" && name !== "ServiceError")).toEqual([]);
    const fields = ["cost", "createdAt", "startedAt", "status", "name", "env", "gpu", "runtime", "desiredStatus"];
    const oddFields = fc.sample(fc.dictionary(fc.constantFrom(...fields), anything, { maxKeys: 4 }), {
      seed: SEED,
      numRuns: 20,
    });
    const entries = fc.sample(anything, { seed: SEED, numRuns: 20 });
    stack.simulator.addFault({ on: "list", kind: "odd-entries", entries, times: 1_000 });
    for (const fieldsOfOne of oddFields) {
      stack.simulator.addFault({ on: "create", kind: "odd-fields", fields: fieldsOfOne, times: 1 });
    }
    await order("resume", null);
    await order("scale", { target: 2 });
    // Other rows of workers are those that the doors were given.
    const own = async () => (await livingWorkers(stack)).filter(({ id }) => id.startsWith(`${stack.pool}-`));
    const active = async () => {
      const count = (await own()).filter(({ status }) => status === "active").length;
      return count === 2 || { count, snapshot: (await pool().query(poolQueries.status)).snapshot };
    };
    await expect.poll(active).toBe(true);
    // Each message that was ignored is told of in the sender's words.
    const refused =
      "select reason from pool_events where kind = 'message.ignored' and reason like '%the database refused it'";
    expect(await stack.rows(refused)).toEqual([]);
    const toWorkers = fc.oneof(fc.constantFrom("ready", "released", "drain", "fail", "terminate"), oddText);
    for (const [name, payload] of fc.sample(fc.tuple(toWorkers, body), { seed: SEED, numRuns: 30 })) {
      for (const { id } of await own()) {
        const worker = stack.temporal.workflow.getHandle(workerWorkflowId(stack.pool, id));
        await worker.signal(name, payload).catch(note);
      }
    }
    expect(outcomes.filter((name) => name === "Error" || name === "TypeError")).toEqual([]);
    await order("scale", { target: 0 });
    await expect.poll(own).toEqual([]);
    expect(stack.simulator.ledger().pods.filter(({ live }) => live)).toEqual([]);
  });
});
