import type { Database } from "../../supabase/client.ts";
import { fleetStore, type WorkerRecord } from "../../supabase/fleet/fleet-store.ts";
import { journalStore } from "../../supabase/journal-store.ts";
import { taskStore } from "../../supabase/task-store.ts";
import type { Simulator } from "../../simulator/simulator.ts";

/** One look at the demo's pool. */
export interface DemoView {
  readonly tasks: Readonly<Record<string, number>>;
  readonly workers: {
    readonly booting: number;
    readonly ready: number;
    readonly leaving: number;
    readonly ended: number;
  };
  readonly livePods: number;
  readonly costUsd: number;
  /** Journal entries since the last look. */
  readonly news: readonly string[];
}

/** Each call of the function that it returns looks once, and brings the journal's entries since the call before. */
export function demoWatcher(database: Database, simulator: Simulator, pool: string): () => Promise<DemoView> {
  let lastEvent = 0;
  return async () => {
    const [tasks, workers, events] = await Promise.all([
      taskStore(database).getTasks(),
      fleetStore(database).getWorkers({ pool }),
      journalStore(database).since(pool, lastEvent),
    ]);
    lastEvent = events.at(-1)?.id ?? lastEvent;
    const news = events.map(({ kind, reason, worker_id: worker }) =>
      [kind.padEnd(16), worker ?? "", reason].filter((part) => part !== "").join("  "),
    );
    const { totals } = simulator.ledger();
    return {
      tasks: countBy(tasks.map(({ status }) => status)),
      workers: countWorkers(workers),
      livePods: totals.live,
      costUsd: totals.costUsd,
      news,
    };
  };
}

function countBy(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) {
    counts[value] = (counts[value] ?? 0) + 1;
  }
  return counts;
}

function countWorkers(rows: readonly WorkerRecord[]): DemoView["workers"] {
  const living = rows.filter(({ gone_at }) => gone_at === null);
  const has = (status: string) => living.filter((row) => row.status === status).length;
  return {
    booting: has("spawning"),
    ready: has("active"),
    leaving: has("terminating") + has("error"),
    ended: rows.length - living.length,
  };
}

/** The one line with tasks, workers and cost. */
export function renderView(view: DemoView, total: number, elapsedSec: number): string {
  const { tasks, workers } = view;
  const done = tasks["Complete"] ?? 0;
  const bar = "█".repeat(Math.round((20 * done) / total)).padEnd(20, "░");
  return [
    `${elapsedSec.toFixed(1).padStart(5)} s`,
    `${bar} ${done}/${total} done`,
    `${tasks["Queued"] ?? 0} queued, ${tasks["In Progress"] ?? 0} running${tasks["Failed"] ? `, ${tasks["Failed"]} FAILED` : ""}`,
    `workers: ${workers.booting} booting, ${workers.ready} ready, ${workers.leaving} leaving, ${workers.ended} ended`,
    `${view.livePods} pods live`,
    `$${view.costUsd.toFixed(4)}`,
  ].join("  ·  ");
}

/** The same in less than 80 columns. */
export function renderShortView(view: DemoView, total: number, elapsedSec: number): string {
  const { tasks, workers } = view;
  const failed = tasks["Failed"] ? `, ${tasks["Failed"]} FAILED` : "";
  return [
    `${elapsedSec.toFixed(1).padStart(5)} s`,
    `${tasks["Complete"] ?? 0}/${total} done, ${tasks["In Progress"] ?? 0} running${failed}`,
    `${workers.booting} booting, ${workers.ready} ready`,
    `${view.livePods} pods`,
    `$${view.costUsd.toFixed(4)}`,
  ].join(" · ");
}
