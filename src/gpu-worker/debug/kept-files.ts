import { mkdir, rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isObject, own } from "../../task-types/levels.ts";

/** Parameters that keep what a task leaves behind. Every type takes them, at the top or in the orchestrator's details. */
export const KEEPING_PARAMETERS: readonly string[] = [
  "debug_mode_enabled",
  "debug_mode",
  "skip_cleanup_enabled",
  "skip_cleanup",
];
const HOLDERS = ["orchestrator_details", "full_orchestrator_payload"];

/** Whether a task's `params` ask to keep the files between. */
export function asksToKeep(params: unknown): boolean {
  if (!isObject(params)) {
    return false;
  }
  const levels = [params, ...HOLDERS.map((name) => own(params, name)).filter(isObject)];
  return levels.some((fields) => KEEPING_PARAMETERS.some((name) => own(fields, name) === true));
}

/**
 * Moves an attempt's folder beside the folders of runs, into `kept`, where it stays until somebody removes it.
 * @returns its new path
 */
export async function keepFolder(workDir: string): Promise<string> {
  const folder = join(dirname(dirname(workDir)), "kept");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, basename(workDir));
  await rename(workDir, path);
  return path;
}
