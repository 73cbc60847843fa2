import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { expect } from "vitest";
import type { ManagedProcess } from "../../src/process/guardian.ts";
import { poolWorkflowId } from "../../src/contract/names.ts";
import { poolUpdates } from "../../src/contract/pool-api.ts";
import type { TestStack } from "./stack.ts";
import { type CliAnswer, runTemporal } from "./temporal/temporal-cli.ts";

/** A task of ten seconds: long enough to find its worker busy. */
export const LONG = { frames: 300, fps: 30, width: 64, height: 64 } as const;

/** Makes the next attempts at these tasks short. The attempt under way has its parameters already. */
export async function shorten(stack: TestStack, ids: readonly string[]): Promise<void> {
  await stack.rows(`update tasks set params = params || '{"frames": 8}' where id = any($1)`, [ids]);
}

export async function countTasks(stack: TestStack, status: string): Promise<number> {
  const [row] = await stack.rows<{ n: number }>("select count(*)::int as n from tasks where status = $1", [status]);
  return row?.n ?? 0;
}

export async function countEvents(stack: TestStack, kind: string): Promise<number> {
  const [row] = await stack.rows<{ n: number }>("select count(*)::int as n from pool_events where kind = $1", [kind]);
  return row?.n ?? 0;
}

/** How many alerts of a kind were opened so far. */
export async function countAlerts(stack: TestStack, kind: string): Promise<number> {
  const [row] = await stack.rows<{ n: number }>("select count(*)::int as n from alerts where kind = $1", [kind]);
  return row?.n ?? 0;
}

export interface WorkerState {
  readonly id: string;
  readonly status: string;
  readonly pod_id: string | null;
  readonly post_state: string | null;
  readonly status_reason: string | null;
  readonly gone: boolean;
}

/** All workers that were ever booked, oldest first. */
export async function workerStates(stack: TestStack): Promise<WorkerState[]> {
  return await stack.rows<WorkerState>(
    `select id, status, pod_id, post_state, status_reason, gone_at is not null as gone
     from workers order by created_at, id`,
  );
}

export async function livingWorkers(stack: TestStack): Promise<WorkerState[]> {
  return (await workerStates(stack)).filter(({ gone }) => !gone);
}

/** The named tasks that are not complete, or not by exactly one lease, or still hold one. */
export async function notDoneOnce(stack: TestStack, ids: readonly string[]): Promise<unknown[]> {
  return await stack.rows(
    `select t.id, t.status, t.error_message, count(a.task_id)::int as attempts,
       (count(*) filter (where a.cause = 'completed'))::int as completed,
       (count(*) filter (where a.task_id is not null and a.ended_at is null))::int as open
     from tasks t left join task_attempts a on a.task_id = t.id
     where t.id = any($1) group by t.id
     having t.status <> 'Complete' or count(*) filter (where a.cause = 'completed') <> 1
       or count(*) filter (where a.task_id is not null and a.ended_at is null) <> 0`,
    [ids],
  );
}

/** Waits until the named tasks are complete, each by one lease, and hold none. */
export async function expectDoneOnce(stack: TestStack, ids: readonly string[]): Promise<void> {
  await expect.poll(() => notDoneOnce(stack, ids)).toEqual([]);
}

/** Waits until no worker is left, then compares the rows with the pods that existed at the provider. */
export async function expectNothingLeft(stack: TestStack, foreignPods: readonly string[] = []): Promise<void> {
  await expect.poll(() => livingWorkers(stack)).toEqual([]);
  const pods = stack.simulator.ledger().pods.filter(({ id }) => !foreignPods.includes(id));
  expect(pods.filter(({ live }) => live)).toEqual([]);
  expectNoTwins(stack, foreignPods);
  const workers = await workerStates(stack);
  expect(pods.map(({ name }) => name).filter((name) => !workers.some(({ id }) => id === name))).toEqual([]);
  expect(workers.filter(({ status }) => status !== "terminated" && status !== "error")).toEqual([]);
}

/** Invariant 1: no two pods ever had the same name. */
export function expectNoTwins(stack: TestStack, foreignPods: readonly string[] = []): void {
  const names = stack.simulator
    .ledger()
    .pods.filter(({ id }) => !foreignPods.includes(id))
    .map(({ name }) => name);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
}

/** Changes the spawn deadline of workers that are booked from now on. */
export async function setSpawningTimeout(stack: TestStack, spawningTimeoutSec: number): Promise<void> {
  const pool = stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
  await pool.executeUpdate(poolUpdates.reconfigure, { args: [{ spawningTimeoutSec }] });
}

/** Kills the process without warning, like a power cut. */
export async function killHard(victim: ManagedProcess): Promise<void> {
  process.kill(victim.pid, "SIGKILL");
  await victim.exited;
}

/**
 * Locks the table of the processes, from which one that ends removes its row: it tries that for up to five seconds.
 * @returns lets them go on.
 */
export async function holdProcessEnds(stack: TestStack): Promise<() => Promise<void>> {
  const client = await stack.database.sql.connect();
  await client.query("begin");
  await client.query("lock table worker_processes in access exclusive mode");
  return async () => {
    await client.query("rollback");
    client.release();
  };
}

/** Runs the real `temporal` command against the pool's workflow. */
export async function temporalCli(stack: TestStack, args: readonly string[]): Promise<CliAnswer> {
  return await runTemporal([...args, "--workflow-id", poolWorkflowId(stack.pool)]);
}

/** As temporalCli, for a command that has to succeed. */
export async function temporalCliOk(stack: TestStack, args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await temporalCli(stack, args);
  expect({ exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ exitCode: 0, stderr: "" });
  return stdout;
}

/**
 * Rents a pod that the pool does not know; it runs no program.
 * @param mark the deployment in its environment; null: none.
 * @param fields what the provider's answers show in place of the pod's true fields.
 */
export async function createPodByHand(
  stack: TestStack,
  name: string,
  mark: string | null,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { apiUrl, apiKey } = stack.simulator;
  // By its name, for the pool may create a pod at the same moment.
  stack.simulator.addFault({ on: "create", kind: "odd-fields", podName: name, fields, mute: true });
  const answer = await fetch(`${apiUrl}/pods`, {
    method: "POST",
    headers: { authorization: `Bearer ${apiKey}`, "user-agent": "test", "content-type": "application/json" },
    body: JSON.stringify({
      name,
      image: "any/image",
      gpu: { id: stack.config.placement.gpuTypes[0], count: 1 },
      env: mark === null ? {} : { GPU_POOL_DEPLOYMENT: mark },
    }),
  });
  expect(answer.status).toBe(201);
  return ((await answer.json()) as { id: string }).id;
}

export interface ProviderGate {
  /** The value for RUNPOD_API_URL. No request is answered before `connect`. */
  readonly apiUrl: string;
  connect(simulatorUrl: string): void;
  /** For the next create requests, in order: hold the request before the provider, hold its answer, or let it pass. */
  holdCreates(...holds: readonly ("before" | "after" | "pass")[]): void;
  /** Worker names of the create requests that are held now. */
  held(): { readonly before: readonly string[]; readonly after: readonly string[] };
  close(): Promise<void>;
}

/** A proxy between the pool and the provider that stops create requests at an exact point. It never releases what it holds. */
export async function startProviderGate(): Promise<ProviderGate> {
  let simulatorUrl = "";
  const plan: ("before" | "after" | "pass")[] = [];
  const held: { before: string[]; after: string[] } = { before: [], after: [] };
  const server = createServer((request, reply) => {
    const forward = async () => {
      const body = await buffer(request);
      const hold = request.method === "POST" ? (plan.shift() ?? "pass") : "pass";
      const { authorization = "", "user-agent": agent = "" } = request.headers;
      const name = hold === "pass" ? "" : String((JSON.parse(body.toString()) as { name: unknown }).name);
      if (hold === "before") {
        held.before.push(name);
        return;
      }
      const answer = await fetch(`${simulatorUrl}${request.url}`, {
        method: request.method ?? "GET",
        headers: {
          authorization,
          "user-agent": agent,
          ...(body.length > 0 ? { "content-type": "application/json" } : {}),
        },
        ...(body.length > 0 ? { body } : {}),
      });
      const text = await answer.text();
      if (hold === "after") {
        held.after.push(name);
        return;
      }
      reply.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "text/plain" }).end(text);
    };
    forward().catch(() => request.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    apiUrl: `http://127.0.0.1:${port}/v2`,
    connect: (url) => void (simulatorUrl = url),
    holdCreates: (...holds) => void plan.push(...holds),
    held: () => held,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** The simulator's answer to each request to delete this pod, as HTTP status. */
export function deletions(
  requests: readonly { method: string; path: string; status: number | null }[],
  podId: string,
): (number | null)[] {
  return requests
    .filter(({ method, path }) => method === "DELETE" && path === `/v2/pods/${podId}`)
    .map(({ status }) => status);
}
