import { Registry } from "prom-client";

type Labels = Readonly<Record<string, string>>;

/** One value; `of` is the name of a histogram's part. */
export interface Sample {
  readonly value: number;
  readonly labels?: Labels;
  readonly of?: string;
}

/** One metric with all its values at one moment. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly samples: readonly Sample[];
}

/** Prometheus' text of metrics that are made anew for each scrape, so that nothing old stays. */
export async function textOf(families: readonly Family[]): Promise<string> {
  const registry = new Registry();
  for (const { name, help, type, samples } of families) {
    const values = samples.map(({ value, labels = {}, of: metricName = name }) => ({ value, labels, metricName }));
    // The library's own classes keep the label sets that they have once seen.
    const metric = { name, get: async () => ({ name, help, type, values, aggregator: "sum" }) };
    registry.registerMetric(metric as never);
  }
  return await registry.metrics();
}
