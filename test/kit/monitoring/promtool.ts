import { spawnSync } from "node:child_process";

/** Whether Prometheus' own tool is installed. Tests that need it are skipped without it. */
export const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;

/** @returns its exit code and all that it said */
export function promtool(args: readonly string[], options: { input?: string; cwd?: string } = {}): [number, string] {
  const { status, stdout, stderr } = spawnSync("promtool", args, { ...options, encoding: "utf8" });
  return [status ?? -1, `${stdout}${stderr}`];
}
