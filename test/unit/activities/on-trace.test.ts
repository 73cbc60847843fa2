import { trace } from "@opentelemetry/api";
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { asyncLocalStorage, type Context } from "@temporalio/activity";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createBulkActivities } from "../../../src/activities/bulk.ts";
import { noteOnTrace } from "../../../src/activities/on-trace.ts";
import { createOutboxActivities, type OutboxDeps } from "../../../src/activities/outbox.ts";
import { createWorkerActivities, type WorkerDeps } from "../../../src/activities/workers.ts";
import { loadConfig } from "../../../src/config/config.ts";

const config = loadConfig({
  SUPABASE_URL: "http://127.0.0.1:1",
  SUPABASE_ANON_KEY: "anon",
  SUPABASE_SERVICE_ROLE_KEY: "service",
  RUNPOD_API_KEY: "key",
});

const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
beforeAll(() => provider.register());
beforeEach(() => exporter.reset());
afterAll(async () => {
  await provider.shutdown();
  trace.disable();
});

/** Runs an activity within a span, as the interceptor of the SDK does. @returns the span */
async function traced(context: object, activity: () => Promise<unknown>) {
  await trace.getTracer("test").startActiveSpan("RunActivity", async (span) => {
    await asyncLocalStorage.run(context as Context, activity);
    span.end();
  });
  return exporter.getFinishedSpans().find(({ name }) => name === "RunActivity");
}

describe("the span of an activity", () => {
  it.each(["loadWorker", "drainWorker", "failWorker"] as const)(
    "says of which pool and decision the worker is, and which task it held: %s",
    async (name) => {
      const loaded = { id: "main-1", status: "error", busy: false, config: {}, environment: {}, job: null };
      const workers = {
        load: async () => ({ ...loaded, pool: "main", decisionId: "d1", taskId: "t1" }),
        drain: async () => ({ outcome: "drained", busy: true }),
        fail: async () => ({ outcome: "failed" }),
      };
      const activities = createWorkerActivities({ workers, config } as unknown as WorkerDeps);
      const act = activities[name] as (...args: unknown[]) => Promise<{ row: object }>;
      let row: object = {};
      const span = await traced({}, async () => ({ row } = await act("main-1", {}, "", {})));
      expect(span?.attributes).toEqual({
        "gpu_pool.pool": "main",
        "gpu_pool.worker": "main-1",
        "gpu_pool.decision": "d1",
        "gpu_pool.task": "t1",
      });
      // They are for the trace, and not for the history.
      expect(row).toEqual({ id: "main-1", status: "error", busy: false });
    },
  );

  it("has an event for each notification, with its task", async () => {
    const stopping = new AbortController();
    const due = { id: 1, attempts: 1, endpointId: "e", url: "http://127.0.0.1:1", secret: "s", format: "json" };
    const outbox = {
      take: async () => [
        { ...due, kind: "task.failed", payload: { task_id: "t1" } },
        { ...due, kind: "alert.opened", payload: { kind: "breaker_open" } },
      ],
      failed: async () => stopping.abort(),
    };
    const paced = { pollMs: 600_000, stopping: stopping.signal };
    const deps = { outbox, logger: pino({ level: "silent" }), receivers: { allowsPrivate: true }, ...paced };
    const { deliverNotifications } = createOutboxActivities(deps as unknown as OutboxDeps);
    const context = { heartbeat: () => undefined, cancellationSignal: new AbortController().signal };
    const span = await traced(context, deliverNotifications);
    const [first, second] = span?.events ?? [];
    expect(first).toMatchObject({
      name: "notification",
      attributes: { "gpu_pool.kind": "task.failed", "gpu_pool.task": "t1" },
    });
    expect(second?.attributes).toEqual({ "gpu_pool.kind": "alert.opened" });
  });

  it("is no parent of the workers that it starts: each has a trace of its own", async () => {
    const parents: unknown[] = [];
    const start = async () => void parents.push(trace.getActiveSpan());
    const bulk = { deployment: "ours", workers: { drainMany: async () => [] }, logger: pino({ level: "silent" }) };
    const context = { client: { workflow: { start } }, info: { taskQueue: "gpu-pool" }, heartbeat: () => undefined };
    await traced(context, () => createBulkActivities(bulk).startWorkers("main", ["main-1", "main-2"]));
    expect(parents).toEqual([undefined, undefined]);
  });

  it("is not needed: without a tracer nothing is noted", () => {
    expect(trace.getActiveSpan()).toBeUndefined();
    expect(() => noteOnTrace({ pool: "main" })).not.toThrow();
  });
});
