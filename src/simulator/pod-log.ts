import { join } from "node:path";

/** As many lines as one request can ask for. */
const KEPT_LINES = 5_000;

export interface PodLogLine {
  /** Time and number of the line. Ids sort as their lines do. */
  readonly id: string;
  /** ISO 8601. */
  readonly ts: string;
  readonly source: "container" | "system";
  readonly line: string;
}

/** What a pod's container wrote and what the host says of it, in one order. The last 5,000 lines are kept. */
export interface PodLog {
  add(source: PodLogLine["source"], line: string): void;
  lines(): readonly PodLogLine[];
  /** Resolves when the next line is added. */
  changed(): Promise<void>;
}

/** File with the output of a pod's container. */
export function podLogPath(dataDir: string, podId: string): string {
  return join(dataDir, "pods", `${podId}.log`);
}

export function createPodLog(now: () => number): PodLog {
  const lines: PodLogLine[] = [];
  const waiting: (() => void)[] = [];
  let count = 0;
  return {
    add(source, line) {
      const ts = new Date(now()).toISOString();
      lines.push({ id: `${ts}/${String(++count).padStart(12, "0")}`, ts, source, line });
      if (lines.length > KEPT_LINES) {
        lines.shift();
      }
      for (const wake of waiting.splice(0)) {
        wake();
      }
    },
    lines: () => lines,
    changed: () => new Promise((resolve) => waiting.push(resolve)),
  };
}
