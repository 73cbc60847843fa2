import { findFfmpeg } from "../../gpu-worker/video/ffmpeg.ts";
import { probeVideo } from "../../gpu-worker/video/probe-video.ts";
import type { DemoTask } from "./tasks.ts";
import type { Database } from "../../supabase/client.ts";
import { fleetStore } from "../../supabase/fleet/fleet-store.ts";
import { type TaskRow, taskStore } from "../../supabase/task-store.ts";
import type { Simulator } from "../../simulator/simulator.ts";

export interface DemoReport {
  readonly text: string;
  /** Checks that failed; empty: none. */
  readonly faults: readonly string[];
}

/** The demo's end: every task with its probed file, the money, and the ledger of pods. */
export async function reportDemo(
  database: Database,
  simulator: Simulator,
  expected: { readonly tasks: number; readonly peak: number },
  reachedPeak: number,
): Promise<DemoReport> {
  const faults: string[] = [];
  const rows = (await taskStore(database).getTasks()).toSorted((a, b) => a.vtime - b.vtime);
  const ffmpeg = await findFfmpeg(process.env["FFMPEG_PATH"] ?? null);
  const lines: string[][] = [["task", "asked", "worker", "attempts", "wait", "run", "file"]];
  for (const row of rows) {
    const fault = await faultOf(row, ffmpeg);
    if (fault !== null) {
      faults.push(`task ${row.id}: ${fault}`);
    }
    const { frames, fps, width, height } = row.params as unknown as DemoTask;
    lines.push([
      row.id.slice(0, 8),
      `${frames} frames, ${fps} fps, ${width}x${height}`,
      row.worker_id ?? "-",
      String(row.attempts),
      seconds(row.created_at, row.generation_started_at),
      seconds(row.generation_started_at, row.generation_processed_at),
      fault === null ? `✓ ${row.output_location}` : `✗ ${fault}`,
    ]);
  }
  const ledger = simulator.ledger();
  const workers = await fleetStore(database).getWorkers();
  const spent = workers.reduce((sum, worker) => sum + (worker.cost_usd ?? 0), 0);
  faults.push(...tally(rows.length, expected.tasks, reachedPeak, expected.peak, ledger.totals));
  const text = [
    table(lines),
    "",
    `Spent: $${spent.toFixed(4)} booked by the pool; $${ledger.totals.costUsd.toFixed(4)} by the provider's ledger.`,
    `Pods:  ${ledger.totals.pods} ever, ${reachedPeak} at most at a time, ${ledger.totals.live} left.`,
  ].join("\n");
  return { text, faults };
}

async function faultOf(row: TaskRow, ffmpeg: string): Promise<string | null> {
  if (row.status !== "Complete" || row.output_location === null) {
    return `${row.status}${row.error_message === null ? "" : `: ${row.error_message}`}`;
  }
  const { frames, fps, width, height } = row.params as unknown as DemoTask;
  const video = await probeVideo(row.output_location, ffmpeg);
  const asked = { codec: "h264", frames, fps, width, height };
  const wrong = Object.entries(asked).filter(([key, value]) => video[key as keyof typeof asked] !== value);
  return wrong.length === 0
    ? null
    : `the file has ${wrong.map(([key]) => `${key} ${video[key as keyof typeof asked]}`).join(", ")}`;
}

function tally(
  tasks: number,
  wantedTasks: number,
  peak: number,
  wantedPeak: number,
  totals: { readonly live: number },
): string[] {
  return [
    ...(tasks === wantedTasks ? [] : [`${tasks} tasks in the table instead of ${wantedTasks}`]),
    ...(peak === wantedPeak ? [] : [`the pool grew to ${peak} workers instead of ${wantedPeak}`]),
    ...(totals.live === 0 ? [] : [`${totals.live} pods are left at the provider`]),
  ];
}

function seconds(from: string | null, to: string | null): string {
  return from === null || to === null ? "-" : `${((Date.parse(to) - Date.parse(from)) / 1000).toFixed(1)} s`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
