import { execa } from "execa";
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const imports = "eslint(no-restricted-imports)";

type Case = { file: string; code: string; rule: string | null };
const forbidden = (file: string, code: string, rule = imports): Case => ({ file, code, rule });
const allowed = (file: string, code: string): Case => ({ file, code, rule: null });

const outsideModules = [
  "node:fs",
  "fs",
  "zod",
  "@supabase/supabase-js",
  "undici",
  "pg",
  "fastify",
  "pino",
  "@temporalio/worker",
  "@temporalio/client",
  "@temporalio/activity",
];

const cases: Case[] = [
  ...["src/workflows", "src/policy", "src/contract"].flatMap((folder) =>
    outsideModules.map((name) => forbidden(folder, `import { x } from "${name}";\nexport const y = x;`)),
  ),
  ...["../activities/a.ts", "../runpod/a.ts", "../config.ts", "../contract/../supabase/a.ts"].flatMap((path) =>
    ["src/workflows", "src/policy", "src/contract"].map((folder) =>
      forbidden(folder, `import { x } from "${path}";\nexport const y = x;`),
    ),
  ),
  allowed("src/workflows", `import type { X } from "../activities/a.ts";\nexport type Y = X;`),
  allowed("src/workflows", `import { x } from "../contract/a.ts";\nexport const y = x;`),
  allowed("src/workflows", `import { x } from "@temporalio/workflow";\nexport const y = x;`),
  forbidden("src/workflows", `import type { X } from "../supabase/a.ts";\nexport type Y = X;`),
  forbidden("src/workflows", `import type { X } from "../config.ts";\nexport type Y = X;`),
  allowed("src/policy", `import { x } from "../contract/a.ts";\nexport const y = x;`),
  forbidden("src/policy", `import type { X } from "../workflows/a.ts";\nexport type Y = X;`),
  ...["runpod", "supabase", "policy", "contract"].map((room) =>
    allowed("src/activities", `import { x } from "../${room}/a.ts";\nexport const y = x;`),
  ),
  ...["workflows", "client", "dev", "gpu-worker"].map((room) =>
    forbidden("src/activities", `import { x } from "../${room}/a.ts";\nexport const y = x;`),
  ),
  ...["src/runpod", "src/supabase"].flatMap((folder) =>
    ["activities", "workflows", "client", "dev"].map((room) =>
      forbidden(folder, `import { x } from "../${room}/a.ts";\nexport const y = x;`),
    ),
  ),
  ...["../config.ts", "../contract/a.ts", "../runpod/a.ts"].map((path) =>
    forbidden("src/gpu-worker", `import { x } from "${path}";\nexport const y = x;`),
  ),
  forbidden("src/gpu-worker/engines", `import { x } from "../../config.ts";\nexport const y = x;`),
  allowed("src/gpu-worker/engines", `import { x } from "../settings.ts";\nexport const y = x;`),
  forbidden("src", `import { x } from "./dev/a.ts";\nexport const y = x;`),
  allowed("src/client", `import { x } from "../dev/a.ts";\nexport const y = x;`),
  ...["src/client", "src/dev"].map((folder) =>
    forbidden(folder, `import { x } from "../workflows/a.ts";\nexport const y = x;`),
  ),
  allowed("test/unit", `import { x } from "../../src/dev/a.ts";\nexport const y = x;`),
  ...["src/activities", "src/client", "src/gpu-worker", "src"].map((folder) =>
    forbidden(folder, `export const y = process.env["X"];`, "node(no-process-env)"),
  ),
  allowed("src/dev", `export const y = process.env["X"];`),
  forbidden("src/activities", "export default 1;", "import(no-default-export)"),
  forbidden("src/activities", "export const y = 1;\n".padEnd(400, "\n") + "export {};", "eslint(max-lines)"),
  forbidden("src/activities", "async function later(): Promise<void> {}\nlater();", "typescript(no-floating-promises)"),
  forbidden(
    "src/activities",
    `export function y(k: "a" | "b"): void {\n  switch (k) {\n    case "a":\n      return;\n  }\n}`,
    "typescript(switch-exhaustiveness-check)",
  ),
];

const fileOf = (index: number, folder: string): string => `${folder}/case-${index}.ts`;
const found = new Map<string, string[]>();
let copy: string;

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), "lint-boundaries-"));
  await copyFile(join(root, ".oxlintrc.json"), join(copy, ".oxlintrc.json"));
  await copyFile(join(root, "tsconfig.json"), join(copy, "tsconfig.json"));
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  await Promise.all(
    cases.map(async ({ file, code }, index) => {
      const path = join(copy, fileOf(index, file));
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, code);
    }),
  );
  const oxlint = join(root, "node_modules/.bin/oxlint");
  const { stdout, exitCode } = await execa(oxlint, ["--format=json", "src", "test"], { cwd: copy, reject: false });
  expect(exitCode).toBe(1);
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] };
  for (const { filename, code } of diagnostics) found.set(filename, [...(found.get(filename) ?? []), code]);
});

afterAll(() => rm(copy, { recursive: true, force: true }));

const rows = cases.map(({ file, code, rule }, index) => ({
  path: fileOf(index, file),
  file,
  head: code.trim().split("\n")[0],
  expected: rule === null ? [] : expect.arrayContaining([rule]),
  verdict: rule ?? "allowed",
}));

describe("the linter holds the boundaries between the rooms", () => {
  it.each(rows)("$file: $head is $verdict", ({ path, expected }) => {
    expect(found.get(path) ?? []).toEqual(expected);
  });
});
