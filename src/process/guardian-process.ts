import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { endGuarded, type Guarded } from "./end-process.ts";
import type { GuardianMessage } from "./guardian.ts";

const guarded = new Map<number, Guarded>();
const paths = new Set<string>();

function apply(line: string): void {
  let message: GuardianMessage;
  try {
    message = JSON.parse(line) as GuardianMessage;
  } catch {
    // The parent died while it wrote this line, so that child is still behind its gate and ends by itself.
    return;
  }
  if ("add" in message) {
    guarded.set(message.add.pid, message.add);
  }
  if ("remove" in message) {
    guarded.delete(message.remove.pid);
  }
  if ("addPath" in message) {
    paths.add(message.addPath);
  }
}

// A signal to the whole process group also reaches the parent. This process must outlive the parent to clean up.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => undefined);
}
process.stdout.on("error", () => undefined);
process.stdout.write("ready\n");

const lines = createInterface({ input: process.stdin });
lines.on("line", apply);
await new Promise<void>((resolve) => {
  lines.once("close", resolve);
  process.stdin.once("error", () => resolve());
});

await Promise.allSettled([...guarded.values()].map(endGuarded));
for (const path of paths) {
  await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }).catch(() => undefined);
}
process.exit(0);
