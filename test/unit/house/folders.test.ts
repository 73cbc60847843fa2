import { execa } from "execa";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const MAX_FILES = 25;
/** Lists that only grow, the pages, which the README lists, and one file for each verb. */
const EXEMPT = new Set(["sql", "docs", "docs/decisions", "docs/schemas", "test/replay/histories"]);

const root = fileURLToPath(new URL("../../..", import.meta.url));

describe("the house", () => {
  it(`has no folder of code with more than ${MAX_FILES} files`, async () => {
    const { stdout } = await execa("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root });
    const sizes = new Map<string, number>();
    for (const folder of stdout.split("\n").map(dirname)) {
      sizes.set(folder, (sizes.get(folder) ?? 0) + 1);
    }
    expect(sizes.size).toBeGreaterThan(10);
    expect([...sizes].filter(([folder, size]) => size > MAX_FILES && !EXEMPT.has(folder))).toEqual([]);
  });
});
