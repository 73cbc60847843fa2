import { Runtime, type RuntimeOptions } from "@temporalio/worker";
import type { Config } from "../../config/config.ts";
import { packageVersion } from "../../config/version.ts";
import type { MetricsReading } from "../../supabase/processes/metrics-store.ts";
import { serveHttp, text } from "./http.ts";
import { createMetrics } from "./metrics.ts";
import { type Probes, startPulse } from "./pulse.ts";
import { createReadiness, type Poller, type Service } from "./readiness.ts";
import { installMeasuredRuntime, type SdkMetrics } from "./sdk-metrics.ts";

/** Health and metrics of the Temporal worker process. Without HEALTH_PORT everything here does nothing. */
export interface Health {
  /** A call to this service has succeeded. */
  readonly seen: (service: Service) => void;
  readonly installRuntime: (options: RuntimeOptions) => Promise<void>;
  /** From now on the services are asked when nothing else asks them. */
  readonly watch: (probes: Probes) => void;
  /** This Temporal worker is to poll the task queue: until it is made, the process does not poll. It is handed through. */
  readonly polls: <P extends Poller>(taskQueue: string, poller: Promise<P>) => Promise<P>;
  /** Reads the state of all pools; null: another process shows them. */
  readonly show: (readPools: () => Promise<MetricsReading | null>) => void;
  /** A request for a pod has ended so. */
  readonly countPodCreate: (pool: string, outcome: string) => void;
  readonly close: () => Promise<void>;
}

/** The first is made before the second, and must not stand for both. */
const BEING_MADE: Poller = { getState: () => "being made" };

const OFF: Health = {
  seen: () => undefined,
  installRuntime: async (options) => void Runtime.install(options),
  watch: () => undefined,
  polls: (_, poller) => poller,
  show: () => undefined,
  countPodCreate: () => undefined,
  close: async () => undefined,
};

/** @throws ConfigError when nothing can listen on HEALTH_HOST and HEALTH_PORT */
export async function openHealth({ host, port }: Config["health"]): Promise<Health> {
  if (port === undefined) {
    return OFF;
  }
  const readiness = createReadiness();
  let sdkMetrics: SdkMetrics = async () => "";
  let readPools: () => Promise<MetricsReading | null> = async () => null;
  let stopPulse = () => undefined as void;
  const metrics = createMetrics({
    version: packageVersion(),
    readiness: readiness.report,
    readPools: () => readPools(),
    sdk: () => sdkMetrics(),
  });

  const server = await serveHttp(host, port, {
    "/healthz": () => text(200, "ok"),
    "/readyz": () => {
      const report = readiness.report();
      const body = `${JSON.stringify(report, null, 2)}\n`;
      return { status: report.ready ? 200 : 503, type: "application/json", body };
    },
    "/metrics": async () => ({ status: 200, type: metrics.contentType, body: await metrics.text() }),
  });
  return {
    seen: readiness.seen,
    async installRuntime(options) {
      sdkMetrics = await installMeasuredRuntime(options);
    },
    watch: (probes) => void (stopPulse = startPulse(readiness, probes)),
    async polls(taskQueue, poller) {
      readiness.polls(taskQueue, BEING_MADE);
      const made = await poller;
      readiness.polls(taskQueue, made);
      return made;
    },
    show: (read) => void (readPools = read),
    countPodCreate: metrics.countPodCreate,
    async close() {
      stopPulse();
      await server.close();
    },
  };
}
