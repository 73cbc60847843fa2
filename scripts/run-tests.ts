import { parseCLI, startVitest } from "vitest/node";
import type { TestModule } from "vitest/node";

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Counts tests. A failure outside a test (a file, a hook) counts as one failed test, so that no failure is missed. */
function count(modules: readonly TestModule[], unhandledErrors: number): Counts {
  const counts: Counts = { passed: 0, failed: unhandledErrors, skipped: 0 };
  for (const testModule of modules) {
    const brokenSuites = [...testModule.children.allSuites()].filter((suite) => suite.errors().length > 0);
    counts.failed += brokenSuites.length + (testModule.errors().length > 0 ? 1 : 0);
    for (const test of testModule.children.allTests()) {
      const { state } = test.result();
      // A test that is still pending at the end was in a process that died.
      counts[state === "pending" ? "failed" : state] += 1;
    }
  }
  return counts;
}

async function run(): Promise<Counts> {
  const { filter, options } = parseCLI(["vitest", "run", ...process.argv.slice(2)]);
  const project = options.project ?? "!long";
  const vitest = await startVitest("test", filter, { ...options, project, run: true, watch: false });
  const counts = count(vitest.state.getTestModules(), vitest.state.getUnhandledErrors().length);
  await vitest.close();
  return counts;
}

const counts = await run().catch((error: unknown): Counts => {
  console.error(error);
  return { passed: 0, failed: 1, skipped: 0 };
});
const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
console.log(`\n${counts.passed} passed, ${counts.failed} failed${skipped}`);
const ok = counts.failed === 0 && counts.passed > 0 && !process.exitCode;
process.exit(ok ? 0 : 1);
