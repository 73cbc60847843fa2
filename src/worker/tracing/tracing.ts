import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { BundlerPlugin, WorkerPlugin } from "@temporalio/worker";
import { packageVersion } from "../../config/version.ts";

const CLOSE_WITHIN_MS = 3_000;

/** Traces of workflows and activities, on their way to a collector. */
export interface Tracing {
  readonly plugin: WorkerPlugin & BundlerPlugin;
  /** Interceptors of workflows that come before those of the plugin. */
  readonly modules: readonly string[];
  /** Sends what waits, for at most three seconds. It never throws. */
  close(): Promise<void>;
}

/**
 * Begins to trace. Loads the packages of OpenTelemetry only now, so that a process without an endpoint has nothing of them.
 * @param endpoint base address of a collector that takes OTLP over HTTP; null is returned without one.
 */
export async function openTracing(endpoint: string | undefined): Promise<Tracing | null> {
  if (endpoint === undefined) {
    return null;
  }
  const [{ OpenTelemetryPlugin }, { BatchSpanProcessor, NodeTracerProvider }, { OTLPTraceExporter }, resources] =
    await Promise.all([
      import("@temporalio/interceptors-opentelemetry"),
      import("@opentelemetry/sdk-trace-node"),
      import("@opentelemetry/exporter-trace-otlp-http"),
      import("@opentelemetry/resources"),
    ]);
  const own = new resources.Resource({ "service.name": "gpu-pool", "service.version": packageVersion() });
  const resource = own.merge(resources.envDetectorSync.detect());
  const spanProcessor = new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }));
  const provider = new NodeTracerProvider({ resource, spanProcessors: [spanProcessor] });
  // Without it client, workflow and activity would begin a trace each.
  provider.register();
  return {
    plugin: new OpenTelemetryPlugin({ resource, spanProcessor }),
    modules: [fileURLToPath(new URL(`workflow-roots${extname(import.meta.url)}`, import.meta.url))],
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, CLOSE_WITHIN_MS)));
      await Promise.race([provider.shutdown(), late]).catch(() => undefined);
      clearTimeout(timer);
    },
  };
}
