import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";

const globalSetup = "test/global-setup.ts";

function project(name: string, testTimeout: number, options: { needsStack: boolean }) {
  const setup = options.needsStack && existsSync(globalSetup) ? { globalSetup: [globalSetup] } : {};
  return {
    test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout, hookTimeout: 120_000, ...setup },
  };
}

export default defineConfig({
  test: {
    pool: "forks",
    // Tests wait for servers a quarter of their time: on two cores three files at once take 9.5 min, two take 11.
    maxWorkers: 3,
    projects: [
      project("unit", 20_000, { needsStack: false }),
      project("replay", 60_000, { needsStack: false }),
      project("workflow", 60_000, { needsStack: true }),
      project("stack", 60_000, { needsStack: true }),
      project("e2e", 180_000, { needsStack: true }),
      project("chaos", 180_000, { needsStack: true }),
      project("long", 3_600_000, { needsStack: true }),
    ],
  },
});
