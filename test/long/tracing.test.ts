import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectProgram } from "../../src/process/program.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
}

interface Export {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }[];
}

describe("traces", () => {
  const spans: Span[] = [];
  let collector: Server;
  let stack: TestStack;
  beforeAll(async () => {
    collector = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        const { resourceSpans } = JSON.parse(body) as Export;
        spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)));
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
    stack.guardian.spawn(command, args, { name: "Temporal worker", env });
    await stack.startPool();
  });
  afterAll(async () => {
    await stack?.close();
    collector?.close();
  });

  it("are one for each worker: from the pool that starts it, over every activity, until its pod is gone", async () => {
    await stack.submit(1);
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
    expect(whole.filter(({ parentSpanId }) => !parentSpanId).map(({ name }) => name)).toEqual([
      "StartChildWorkflow:gpuWorker",
    ]);
    expect(named("RunActivity:watchPool").length).toBeGreaterThan(0);
    expect(named("RunActivity:watchPool").filter(({ traceId }) => traceId === life?.traceId)).toEqual([]);
  });
});
