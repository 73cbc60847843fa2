import { collectDefaultMetrics, Counter, Registry } from "prom-client";
import type { MetricsReading } from "../../supabase/processes/metrics-store.ts";
import { type Family, textOf } from "./families.ts";
import { poolMetrics } from "./pool-metrics.ts";
import type { ReadinessReport } from "./readiness.ts";

/** Scrapes that follow each other more quickly get the same reading. */
const READING_MS = 1_000;

export interface Metrics {
  readonly contentType: string;
  /** Prometheus' text: of this process, and of all pools if this process is the one that shows them. */
  text(): Promise<string>;
  /** A request for a pod has ended so. */
  countPodCreate(pool: string, outcome: string): void;
}

export interface MetricsSources {
  readonly version: string;
  readonly readiness: () => ReadinessReport;
  /** Null: another process shows the pools. */
  readonly readPools: () => Promise<MetricsReading | null>;
  readonly sdk: () => Promise<string>;
}

export function createMetrics({ version, readiness, readPools, sdk }: MetricsSources): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Sums of other metrics, which are no counters in spite of their names.
  for (const what of ["handles", "requests", "resources"]) {
    registry.removeSingleMetric(`nodejs_active_${what}_total`);
  }
  const podCreates = new Counter({
    name: "gpu_pool_pod_creates_total",
    help: "Requests for a pod that this process sent, by outcome: created, ambiguous, or why it was refused.",
    labelNames: ["pool", "outcome"],
    registers: [registry],
  });
  const readErrors = new Counter({
    name: "gpu_pool_metrics_read_errors_total",
    help: "Scrapes for which a part of the metrics could not be read.",
    labelNames: ["part"],
    registers: [registry],
  });
  readErrors.inc({ part: "pools" }, 0);
  readErrors.inc({ part: "sdk" }, 0);
  const pools = cached(readPools, READING_MS);
  /** One part that cannot be read must not hide the others. */
  const attempt = async <T>(part: string, read: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await read();
    } catch {
      readErrors.inc({ part });
      return otherwise;
    }
  };
  return {
    contentType: registry.contentType,
    async text() {
      const [reading, ofSdk] = await Promise.all([attempt("pools", pools, null), attempt("sdk", sdk, "")]);
      const ofPools = reading === null ? [] : poolMetrics(reading);
      const own = await textOf([...ofProcess(version, readiness(), reading !== null), ...ofPools]);
      return [await registry.metrics(), own, ofSdk].map((part) => part.trimEnd()).join("\n") + "\n";
    },
    countPodCreate: (pool, outcome) => podCreates.inc({ pool, outcome }),
  };
}

function ofProcess(version: string, { ready, parts }: ReadinessReport, leads: boolean): Family[] {
  const build = { version, node: process.versions.node };
  return [
    family("build_info", "Version of the program and of Node.", [{ value: 1, labels: build }]),
    family("leader", "1: this process shows the metrics of the pools.", [{ value: Number(leads) }]),
    family("ready", "1: /readyz answers 200.", [{ value: Number(ready) }]),
    family(
      "part_ready",
      "1: this part of the readiness is given.",
      Object.entries(parts).map(([part, state]) => ({ value: Number(state.ready), labels: { part } })),
    ),
  ];
}

function family(name: string, help: string, samples: Family["samples"]): Family {
  return { name: `gpu_pool_${name}`, help, type: "gauge", samples };
}

/** Answers callers within `forMs` of each other from one call. A failure is not kept. */
function cached<T>(read: () => Promise<T>, forMs: number): () => Promise<T> {
  let latest: Promise<T> | undefined;
  let atMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (latest === undefined || performance.now() - atMs >= forMs) {
      atMs = performance.now();
      latest = read();
      latest.catch(() => (latest = undefined));
    }
    return await latest;
  };
}
