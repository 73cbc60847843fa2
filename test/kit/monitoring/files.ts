import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The folder of the files for Prometheus and Grafana. */
export const MONITORING = fileURLToPath(new URL("../../../deployment/monitoring/", import.meta.url));

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string }[];
}

export interface DashboardQuery {
  readonly panel: string;
  /** As Prometheus takes it: for all pools, over one minute. */
  readonly expr: string;
}

/** The queries of the dashboard's panels. */
export function dashboardQueries(): DashboardQuery[] {
  const text = readFileSync(`${MONITORING}grafana-dashboard.json`, "utf8");
  const { panels } = JSON.parse(text) as { panels: readonly Panel[] };
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({
      panel: title,
      expr: expr.replaceAll("$__rate_interval", "1m").replaceAll("$pool", ".*"),
    })),
  );
}

/** The metrics that rules and panels name, without those that Prometheus itself makes. */
export function metricsInUse(): string[] {
  const texts = ["alerts.yaml", "grafana-dashboard.json"].map((name) => readFileSync(`${MONITORING}${name}`, "utf8"));
  return [...new Set(texts.join("\n").match(/\b(?:gpu_pool|temporal|process|nodejs)_\w+/g))].toSorted();
}

/** The names that a text for Prometheus declares, those of a histogram's parts included. */
export function metricsIn(text: string): Set<string> {
  const declared = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(
    declared.flatMap(([, name = "", type]) =>
      type === "histogram" ? ["_bucket", "_sum", "_count"].map((part) => name + part) : [name],
    ),
  );
}
