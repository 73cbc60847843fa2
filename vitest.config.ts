import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { PATIENCE_MS } from "./test/kit/patience.ts";

const globalSetup = "test/global-setup.ts";
/** A test ends by the condition that it waits for, which it names, and only then by this limit. */
const TEST_MS = 4 * PATIENCE_MS;

function project(name: string, testTimeout: number, options: { needsStack: boolean }) {
  const setup = options.needsStack && existsSync(globalSetup) ? { globalSetup: [globalSetup] } : {};
  const include = [`test/${name}/**/*.test.ts`];
  const poll = { timeout: PATIENCE_MS, interval: 100 };
  // Files that share one process load each module once. The kit of the workflow tests keeps a
  // service in a module, and some long tests measure their process.
  const isolate = name === "workflow" || name === "long";
  return { test: { name, include, testTimeout, hookTimeout: TEST_MS, isolate, expect: { poll }, ...setup } };
}

export default defineConfig({
  test: {
    pool: "forks",
    // Tests wait for servers a part of their time: on two cores four files at once take 8.5 min, three take 10.
    maxWorkers: 4,
    projects: [
      project("unit", 60_000, { needsStack: false }),
      project("replay", 60_000, { needsStack: false }),
      project("workflow", TEST_MS, { needsStack: true }),
      project("stack", TEST_MS, { needsStack: true }),
      project("security", TEST_MS, { needsStack: true }),
      project("e2e", TEST_MS, { needsStack: true }),
      project("chaos", TEST_MS, { needsStack: true }),
      project("long", 3_600_000, { needsStack: true }),
    ],
  },
});
