import { readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** What a file imports when it is loaded; types and `import()` are left out. */
function loadedBy(file: string): string[] {
  const text = readFileSync(resolve(root, file), "utf8");
  return [...text.matchAll(/^import (?!type )(?:[^;"]*? from )?"([^"]+)";/gms)].map(([, from = ""]) =>
    from.startsWith(".") ? relative(root, resolve(root, dirname(file), from)) : from,
  );
}

function reachableFrom(file: string, seen = new Set<string>()): Set<string> {
  for (const each of loadedBy(file)) {
    if (!seen.has(each)) {
      seen.add(each);
      if (each.startsWith("src/")) {
        reachableFrom(each, seen);
      }
    }
  }
  return seen;
}

describe("the Temporal worker", () => {
  it("loads nothing of OpenTelemetry but its API, which does nothing, until an endpoint is set", () => {
    const loaded = [...reachableFrom("src/worker.ts")];
    expect(loaded).toContain("src/worker/tracing/tracing.ts");
    expect(loaded.filter((each) => each.includes("opentelemetry"))).toEqual(["@opentelemetry/api"]);
  });
});

describe("the gpu-pool command", () => {
  it("loads for --help only its declarations, and imports an action when it runs", () => {
    const loaded = [...reachableFrom("src/client/main.ts")].filter((each) => !each.startsWith("node:"));
    const declarations = loaded.filter((each) => /^src\/client\/commands\/\w+\/\w+-commands\.ts$/.test(each));
    expect(declarations).toHaveLength(10);
    expect(loaded.filter((each) => !declarations.includes(each)).toSorted()).toEqual([
      "commander",
      "get-east-asian-width",
      "src/client/commands/tasks/task-flags.ts",
      "src/client/commands/workers/worker-flags.ts",
      "src/client/connections.ts",
      "src/client/errors.ts",
      "src/client/options.ts",
      "src/client/program.ts",
      "src/client/render/durations.ts",
      "src/client/render/output.ts",
      "src/config/version.ts",
      "src/contract/log-levels.ts",
      "supabase/functions/_shared/text.ts",
    ]);
  });
});
