import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ManagedProcess } from "../../src/process/guardian.ts";
import { projectProgram } from "../../src/process/program.ts";
import { poolUpdates } from "../../src/contract/pool-api.ts";
import { poolWorkflowId } from "../../src/contract/names.ts";
import { LONG } from "../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[];
}

interface Export {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }[];
}

describe("traces", () => {
  const spans: Span[] = [];
  let collector: Server;
  let answers = true;
  let temporalWorker: ManagedProcess;
  let stack: TestStack;
  beforeAll(async () => {
    collector = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        const { resourceSpans } = JSON.parse(body) as Export;
        spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)));
        if (!answers) {
          return;
        }
        response.writeHead(200, { "content-type": "application/json" }).end("{}");
      });
    });
    await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
    const { port } = collector.address() as AddressInfo;
    stack = await startTestStack({
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_BSP_SCHEDULE_DELAY: "200" },
    });
    // As it is run, because the bundle of the tests is made without tracing.
    const { command, args } = projectProgram("worker");
    const env = { ...process.env, ...stack.env };
    temporalWorker = stack.guardian.spawn(command, args, { name: "Temporal worker", env });
    await stack.startPool();
  });
  afterAll(async () => {
    await stack?.close();
    collector?.closeAllConnections();
    collector?.close();
  });

  it("are one for each worker: from the pool that starts it, over every activity, until its pod is gone", async () => {
    const [task] = await stack.submit(1, LONG);
    const held = () =>
      stack.rows<{ worker_id: string; decision_id: string }>(
        `select a.worker_id, w.decision_id from task_attempts a join workers w on w.id = a.worker_id
         where a.task_id = $1 and a.ended_at is null`,
        [task],
      );
    await expect.poll(held).toHaveLength(1);
    const [{ worker_id: worker, decision_id: decision } = { worker_id: "", decision_id: "" }] = await held();
    const pool = stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
    await pool.executeUpdate(poolUpdates.shutdown);
    const named = (name: string) => spans.filter((span) => span.name === name);
    await expect.poll(() => named("RunWorkflow:gpuWorker")).toHaveLength(1);
    const [life] = named("RunWorkflow:gpuWorker");
    const whole = spans.filter(({ traceId }) => traceId === life?.traceId);
    const above = (span: Span | undefined): string[] => {
      const parent = whole.find(({ spanId }) => spanId === span?.parentSpanId);
      return span === undefined ? [] : [span.name, ...above(parent)];
    };
    for (const activity of ["createPod", "drainWorker", "removePod", "workerGone"]) {
      expect(above(whole.find(({ name }) => name === `RunActivity:${activity}`))).toEqual([
        `RunActivity:${activity}`,
        `StartActivity:${activity}`,
        "RunWorkflow:gpuWorker",
        "StartChildWorkflow:gpuWorker",
      ]);
    }
    const noted = (name: string, key: string) =>
      spans
        .filter((span) => span.name === `RunActivity:${name}`)
        .flatMap(({ attributes }) => attributes.filter((each) => each.key === `gpu_pool.${key}`))
        .map(({ value }) => value.stringValue);
    // The decision leads from the pool's trace to the worker's, whose activities it is written on.
    expect(noted("reserveWorkers", "decision")).toEqual([decision]);
    expect(noted("watchPool", "decision")).toContain(decision);
    expect([noted("createPod", "decision"), noted("createPod", "worker")]).toEqual([[decision], [worker]]);
    expect(noted("drainWorker", "pool")).toContain(stack.pool);
    expect(noted("drainWorker", "task")).toContain(task);
    expect(whole.filter(({ parentSpanId }) => !parentSpanId).map(({ name }) => name)).toEqual([
      "StartChildWorkflow:gpuWorker",
    ]);
    expect(named("RunActivity:watchPool").length).toBeGreaterThan(0);
    expect(named("RunActivity:watchPool").filter(({ traceId }) => traceId === life?.traceId)).toEqual([]);
  });

  it("do not keep the process from ending when the collector does not answer any more", async () => {
    answers = false;
    const beganMs = Date.now();
    process.kill(temporalWorker.pid, "SIGTERM");
    expect((await temporalWorker.exited).code).toBe(0);
    // A request has ten seconds, and the process does not wait for that.
    expect(Date.now() - beganMs).toBeLessThan(9_000);
  });
});
