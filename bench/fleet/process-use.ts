import { readFileSync } from "node:fs";

const TICKS_PER_SEC = 100;

/** The most memory that a process ever held, in MB. Reads /proc: Linux only. */
export function peakRssMb(pid: number): number {
  const kb = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kb === undefined) {
    throw new Error(`/proc/${pid}/status shows no VmHWM: this benchmark needs Linux`);
  }
  return (Number(kb) * 1024) / 1e6;
}

/** Processor time that a process has used, in seconds, with all its threads. */
export function cpuSec(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The process name in front, in parentheses, may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SEC;
}
