import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { endGuarded, type Guarded, type GuardianMessage } from "./guardian.ts";

const guarded = new Map<number, Guarded>();
const paths = new Set<string>();

function apply(line: string): void {
  let message: GuardianMessage;
  try {
    message = JSON.parse(line) as GuardianMessage;
  } catch {
    // The parent died while writing this line, so it never let that child out of its gate.
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

// Whoever signals everything around here also signals the parent; this process ends by the parent's end only.
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
