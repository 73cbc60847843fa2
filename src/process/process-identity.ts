import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * The start time of the process that has this pid now, in the system's own form; null when there is none or only its
 * zombie is left. Pid and start time together identify a process, because the system reuses pids.
 */
export function processStartTime(pid: number): string | null {
  try {
    if (process.platform === "linux") {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return /^[ZX]/.test(fields[0] ?? "") ? null : (fields[19] ?? null);
    }
    const env = { ...process.env, LC_ALL: "C" };
    const line = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8", env }).trim();
    return line === "" || line.startsWith("Z") ? null : line.replace(/^\S+\s+/, "");
  } catch {
    return null;
  }
}

/** The parent's pid and the command line of the process that has this pid now; null when there is none. */
export function describeProcess(pid: number): { readonly parent: number; readonly command: string } | null {
  try {
    const line = execFileSync("ps", ["-o", "ppid=,args=", "-p", String(pid)], { encoding: "utf8" }).trim();
    const [, parent = "", command = ""] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    return line === "" ? null : { parent: Number(parent), command };
  } catch {
    return null;
  }
}
