import { execFileSync } from "node:child_process";

/** Whether a program is there and runs. A test that needs it skips otherwise, and says so by `without`. */
export function hasTool(command: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** The words to add to the title of a test that needs a tool; scripts/install-test-tools.sh installs some. */
export function without(isThere: boolean, tool: string): string {
  return isThere ? "" : ` (skipped: ${tool} is not installed)`;
}
