import { spawnSync } from "node:child_process";
import { hasTool } from "../deployment/tools.ts";

/** Whether Prometheus' own tool is installed. Tests that need it are skipped without it. */
export const hasPromtool = hasTool("promtool", "--version");

/** @returns its exit code and all that it said */
export function promtool(args: readonly string[], options: { input?: string; cwd?: string } = {}): [number, string] {
  const { status, stdout, stderr } = spawnSync("promtool", args, { ...options, encoding: "utf8" });
  return [status ?? -1, `${stdout}${stderr}`];
}
