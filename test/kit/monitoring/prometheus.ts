import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { startOnFreePort } from "../../../src/dev/servers/free-port.ts";
import type { Guardian } from "../../../src/process/guardian.ts";

export const hasPrometheus = spawnSync("prometheus", ["--version"]).status === 0;

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** Time in seconds and value. */
  readonly values: readonly (readonly [number, number])[];
}

export interface Prometheus {
  /** Every second of the time until now since `fromMs`. */
  range(expr: string, fromMs: number): Promise<Series[]>;
}

/** A real Prometheus that scrapes these addresses every second as the job gpu-pool. */
export async function startPrometheus(
  guardian: Guardian,
  directory: string,
  targets: readonly string[],
): Promise<Prometheus> {
  const file = join(directory, "prometheus.yaml");
  const job = { job_name: "gpu-pool", static_configs: [{ targets }] };
  await writeFile(file, JSON.stringify({ global: { scrape_interval: "1s" }, scrape_configs: [job] }));
  return await startOnFreePort(undefined, async (port) => {
    const address = `127.0.0.1:${port}`;
    const storage = `--storage.tsdb.path=${join(directory, `prometheus-${port}`)}`;
    const args = [`--config.file=${file}`, storage, `--web.listen-address=${address}`, "--log.level=warn"];
    const server = guardian.spawn("prometheus", args, { name: "Prometheus", env: process.env });
    await answers(`http://${address}/-/ready`, server.exited);
    return { range: (expr, fromMs) => range(address, expr, fromMs) };
  });
}

async function answers(url: string, exited: Promise<unknown>): Promise<void> {
  let ended = false;
  void exited.then(() => (ended = true));
  while (!ended) {
    if ((await fetch(url).catch(() => null))?.ok) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("Prometheus ended while it started");
}

async function range(address: string, expr: string, fromMs: number): Promise<Series[]> {
  const [start, end] = [fromMs / 1000, Date.now() / 1000].map(String) as [string, string];
  const query = new URLSearchParams({ query: expr, start, end, step: "1" });
  const response = await fetch(`http://${address}/api/v1/query_range?${query.toString()}`);
  const { data, error } = (await response.json()) as {
    data?: { result: { metric: Record<string, string>; values: [number, string][] }[] };
    error?: string;
  };
  if (data === undefined) {
    throw new Error(`${expr}: ${error}`);
  }
  return data.result.map(({ metric, values }) => ({
    metric,
    values: values.map(([at, value]) => [at, Number(value)] as const),
  }));
}
