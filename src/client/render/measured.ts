import type { MeasuredService } from "../../policy/latency/measured.ts";
import { formatDuration } from "./durations.ts";
import { plain } from "./output.ts";
import type { PoolFigures } from "./pool-reading.ts";
import { counted } from "./rows.ts";
import type { Column } from "./table.ts";
import { isoTime } from "./stored.ts";

/** Kinds of tasks in the table; `--json` has all. */
const MOST_KINDS = 10;

/** What is measured of a pool, in one line; null: nothing is yet. */
export function describeMeasured(figures: PoolFigures): string | null {
  const { bootSec, boots, services, demand, coming, waitValue, waited } = figures;
  if (bootSec === null && services.length === 0 && demand.length === 0) {
    return null;
  }
  const perHour = arrivalsPerHour(demand);
  const places = boots.length > 1 ? `, ${boots.map(inPlace).join(", ")}` : "";
  const come = coming.reduce((sum, { tasks }) => sum + tasks, 0);
  return [
    bootSec === null ? "no boot yet" : `boots ${seconds(bootSec)}${places}`,
    `${perHour < 1 ? Number(perHour.toFixed(2)) : Number(perHour.toPrecision(2))} tasks an hour`,
    ...(come === 0 ? [] : [`${counted(come, "task waits", "tasks wait")} for running ones`]),
    ...(waited === null ? [] : [`last ${waited.starts} starts waited ${seconds(waited.sec)} at the percentile`]),
    ...(waitValue === null ? [] : [`WAIT_VALUE ${Number(waitValue.toPrecision(3))}`]),
  ].join("; ");
}

function inPlace({ gpuType, dataCenter, medianSec }: PoolFigures["boots"][number]): string {
  return plain(`${[gpuType, dataCenter].filter((part) => part !== null).join(" ")} ${seconds(medianSec)}`);
}

/** The kinds that ended last. A type of one model is one line. */
export function shownKinds(services: readonly MeasuredService[]): MeasuredService[] {
  const models = (type: string) => services.filter(({ taskType, model }) => taskType === type && model !== null);
  return services
    .filter(({ taskType, model, samples }) => {
      const [only, ...others] = models(taskType);
      return model !== null || only === undefined || others.length > 0 || only.samples !== samples;
    })
    .slice(0, MOST_KINDS);
}

export const kindColumns: Column<MeasuredService>[] = [
  { title: "TASK TYPE", value: ({ taskType }) => plain(taskType) },
  { title: "MODEL", value: ({ model }) => plain(model ?? "all"), dropOrder: 1 },
  { title: "MEASURED", value: ({ samples }) => String(samples), align: "right" },
  { title: "5%", value: ({ quantilesSec }) => seconds(quantilesSec[1]), align: "right", dropOrder: 2 },
  { title: "MEDIAN", value: ({ quantilesSec }) => seconds(quantilesSec[10]), align: "right" },
  { title: "95%", value: ({ quantilesSec }) => seconds(quantilesSec[19]), align: "right" },
];

/** For `--json`. */
export function measuredJson({ measuredMs, priorsSec, demand, ...figures }: PoolFigures): Record<string, unknown> {
  const kinds = demand.map((kind) => ({
    taskType: kind.taskType,
    model: kind.model,
    queued: kind.queued,
    ...rateOf([kind]),
  }));
  return {
    at: isoTime(measuredMs),
    ...figures,
    expectedSec: priorsSec,
    ...rateOf(demand),
    demand: kinds,
  };
}

function rateOf(demand: PoolFigures["demand"]): { readonly arrivalsPerHour: number } {
  return { arrivalsPerHour: Math.round(arrivalsPerHour(demand) * 1000) / 1000 };
}

function arrivalsPerHour(demand: PoolFigures["demand"]): number {
  return demand.reduce((sum, { arrivalsPerSec }) => sum + arrivalsPerSec * 3600, 0);
}

function seconds(sec: number | undefined): string {
  return sec === undefined ? "-" : sec < 60 ? `${Number(sec.toPrecision(2))}s` : formatDuration(sec * 1000);
}
