import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Context } from "../../../context.ts";

/** The environment of the opener holds none of our keys. */
const PASSED_ON =
  /^(PATH|HOME|USER|LANG|DISPLAY|BROWSER|WAYLAND_DISPLAY|XDG_\w+|DBUS_\w+|SystemRoot|USERPROFILE|APPDATA)$/i;
/** More windows than this help nobody. */
const MOST = 5;

/** Opens results as a double click would. A machine without a desktop gets a note, not a failure. */
export async function openResults({ env, output }: Context, results: readonly string[]): Promise<void> {
  const safe = results.filter((result) => /^https?:\/\//.test(result) || result.startsWith("/"));
  for (const result of safe.slice(0, MOST)) {
    const problem = await openOne(result, env);
    if (problem !== null) {
      output.note(`gpu-pool: ${result} could not be opened (${problem})`);
      return;
    }
  }
  if (safe.length > MOST) {
    output.note(`gpu-pool: opened the first ${MOST} of ${safe.length}`);
  }
}

/** Without a shell, so that no character of an address means anything. @returns why not; null: it is open */
async function openOne(result: string, env: Context["env"]): Promise<string | null> {
  const opener = { darwin: "open", win32: "explorer.exe" }[process.platform as string] ?? "xdg-open";
  const passedOn = Object.fromEntries(Object.entries(env).filter(([name]) => PASSED_ON.test(name)));
  const child = spawn(opener, [result], { env: passedOn, stdio: "ignore", detached: true });
  try {
    await once(child, "spawn");
    child.unref();
    return null;
  } catch (error) {
    return `${opener}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`;
  }
}
