import type { Compared, Comparison } from "../../backtest/compare.ts";
import type { Outcome } from "../../backtest/outcome.ts";
import { formatDuration } from "./durations.ts";
import { plain, type Style } from "./output.ts";
import { counted } from "./rows.ts";
import { type Column, renderTable } from "./table.ts";

/** What was simulated, the bounds, and one line for each candidate; at most `width` characters a line. */
export function renderComparison(about: string, comparison: Comparison, width: number, style: Style): string[] {
  const { tasks, workSec, fromMs, toMs, circumstances, bounds, results } = comparison;
  const days = fromMs === null || toMs === null ? "" : ` in ${formatDuration(toMs - fromMs)}`;
  const { bootSec, bootSigma, priceUsd } = circumstances;
  const spread = bootSigma === 0 ? "" : ` (σ ${bootSigma})`;
  const price = priceUsd === null ? "" : `, $${priceUsd} an hour`;
  return [
    style("bold", `${plain(about)}: ${counted(tasks, "task", "tasks")}${days}, ${hours(workSec)} of work`),
    style("dim", `boots of ${round(bootSec)} s${spread}${price}; times in GPU hours, waits in seconds`),
    "",
    ...renderTable(columnsOf(comparison), results, width, style),
    "",
    `least without any wait ${hours(bounds.noWaitSec)}; least of all ${hours(bounds.floorSec)}`,
    ...results.flatMap(unservedNote).map((line) => style("yellow", line)),
  ];
}

function columnsOf({ circumstances }: Comparison): Column<Compared>[] {
  const wait = (title: string, of: (compared: Compared) => number, dropOrder = 0): Column<Compared> => ({
    title,
    value: (compared) => round(of(compared)),
    align: "right",
    dropOrder,
  });
  return [
    { title: "SETTINGS", value: ({ label }) => plain(label) },
    { title: "GPU H", value: ({ outcome }) => (outcome.gpuSec / 3600).toFixed(1), align: "right" },
    ...(circumstances.priceUsd === null
      ? []
      : [{ title: "USD", value: ({ usd }: Compared) => (usd ?? 0).toFixed(2), align: "right" } as const]),
    { title: "× LEAST", value: ({ ratio }) => (ratio === null ? "-" : ratio.toFixed(3)), align: "right" },
    wait("MEAN", ({ outcome }) => outcome.waitSec.mean),
    wait("P50", ({ outcome }) => outcome.waitSec.p50, 3),
    wait("P95", ({ outcome }) => outcome.waitSec.p95),
    wait("P99", ({ outcome }) => outcome.waitSec.p99, 2),
    { title: "SPAWNS", value: ({ outcome }) => String(outcome.spawns), align: "right", dropOrder: 1 },
    { title: "PEAK", value: ({ outcome }) => String(outcome.peak), align: "right", dropOrder: 1 },
  ];
}

function unservedNote({ label, outcome }: Compared): string[] {
  const { unserved, tasks } = outcome;
  return unserved === 0
    ? []
    : [`${plain(label)}: ${unserved} of ${tasks} tasks were never served; the waits leave them out`];
}

export function comparisonJson(about: string, comparison: Comparison): Record<string, unknown> {
  const { fromMs, toMs, circumstances, results, ...rest } = comparison;
  const { bootSec, bootSigma, seed, priceUsd } = circumstances;
  return {
    about,
    ...rest,
    from: iso(fromMs),
    to: iso(toMs),
    bootSec,
    bootSigma,
    seed,
    priceUsd,
    results: results.map(({ label, settings, outcome, ratio, usd }) => ({
      label,
      policy: settings.policy,
      ...figuresOf(outcome),
      ratio,
      usd,
    })),
  };
}

/** All but the course over time, which only the picture shows. */
function figuresOf(outcome: Outcome): Omit<Outcome, "course"> {
  const { tasks, unserved, gpuSec, bootSec, busySec, idleSec, waitSec, spawns, peak } = outcome;
  return { tasks, unserved, gpuSec, bootSec, busySec, idleSec, waitSec, spawns, peak };
}

function iso(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function hours(sec: number): string {
  return `${(sec / 3600).toFixed(1)} GPU h`;
}

function round(value: number): string {
  return value < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value).toString();
}
