import { execa } from "execa";
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const ROOMS = [
  "activities",
  "client",
  "config",
  "contract",
  "dev",
  "gpu-worker",
  "logger",
  "policy",
  "process",
  "runpod",
  "simulator",
  "supabase",
  "task-file",
  "task-types",
  "worker",
  "workflows",
];
const INNER = [
  "client/commands/pool",
  "client/commands/see",
  "client/render",
  "dev/gateway",
  "dev/servers",
  "dev/storage",
];
const WORKFLOW_ROOMS = ["workflows/pool", "workflows/worker"];

interface Case {
  readonly file: string;
  readonly code: string;
  /** Null: allowed. */
  readonly rule: string | null;
}

function forbidden(file: string, code: string, rule: string): Case {
  return { file, code, rule };
}

function allowed(file: string, code: string): Case {
  return { file, code, rule: null };
}

/** An import of the stub that lies in each room; `logger` is a file, not a folder. */
function importing(room: string, kind: "import" | "import type" = "import", file = "stub"): string {
  const path = room === "logger" ? "src/logger.ts" : `src/${room}/${file}.ts`;
  return kind === "import"
    ? `import { stub } from "ROOT/${path}";\nexport const y = stub;`
    : `import type { Stub } from "ROOT/${path}";\nexport type Y = Stub;`;
}

const supabaseClient = `import { createClient } from "@supabase/supabase-js";\nexport const y = createClient;`;

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

const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  "task-file": [],
  "task-types": [],
  policy: ["contract", "task-types"],
  workflows: ["contract"],
  config: ["contract"],
  process: [],
  runpod: [],
  supabase: ["contract", "policy", "task-types"],
  activities: ["config", "contract", "policy", "runpod", "supabase"],
  worker: ["activities", "config", "contract", "logger", "process", "runpod", "supabase"],
  "gpu-worker": ["task-file", "task-types"],
  simulator: ["gpu-worker", "process"],
  dev: ["contract", "gpu-worker", "process", "simulator", "supabase"],
  client: [
    "activities",
    "config",
    "contract",
    "dev",
    "logger",
    "policy",
    "process",
    "runpod",
    "supabase",
    "task-file",
    "task-types",
    "worker",
  ],
};

/** Rules that dependency-cruiser holds. */
const imports: readonly Case[] = [
  ...["workflows", "policy", "contract", "task-types"].flatMap((room) =>
    outsideModules
      .filter((name) => room !== "task-types" || name !== "zod")
      .map((name) => forbidden(`src/${room}`, `import { x } from "${name}";\nexport const y = x;`, `pure-${room}`)),
  ),
  ...Object.entries(MAY_IMPORT).flatMap(([room, others]) =>
    ROOMS.filter((other) => other !== room).flatMap((other) => {
      const isAllowed = others.includes(other);
      return (["import", "import type"] as const).map((kind) =>
        isAllowed
          ? allowed(`src/${room}`, importing(other, kind))
          : forbidden(`src/${room}`, importing(other, kind), `room-${room}`),
      );
    }),
  ),
  allowed("src/workflows", `import { condition } from "@temporalio/workflow";\nexport const y = condition;`),
  forbidden("src/workflows/pool", importing("policy"), "room-workflows"),
  allowed("src/workflows/pool", importing("contract")),
  forbidden("src/workflows/worker", importing("workflows/pool"), "inner-room-workflows-worker"),
  forbidden("src/gpu-worker/engines", importing("config"), "room-gpu-worker"),
  allowed("src/gpu-worker/engines", importing("gpu-worker")),
  forbidden("src/client/render", importing("client/commands/see"), "inner-room-client-render"),
  forbidden("src/client/render", importing("supabase"), "inner-room-client-render"),
  allowed("src/client/commands/see", importing("client/render")),
  forbidden("src/client/commands/see", importing("client/commands/pool"), "command-groups-apart"),
  forbidden("src/client/commands/see", importing("workflows"), "room-client"),
  forbidden("src/dev/servers", importing("dev/gateway"), "inner-room-dev-servers"),
  forbidden("src/dev/storage", importing("dev/servers"), "inner-room-dev-storage"),
  forbidden("src/dev/gateway", importing("dev/servers"), "inner-room-dev-gateway"),
  allowed("src/dev/gateway", importing("dev/storage")),
  ...["src/client/commands/see", "src/activities", "src/dev/demo", "src/dev/gateway", "src/simulator", "test/unit"].map(
    (folder) => forbidden(folder, supabaseClient, "one-database-layer"),
  ),
  ...["src/supabase", "src/gpu-worker", "supabase/functions/_shared", "test/kit", "test/stack/api", "bench"].map(
    (folder) => allowed(folder, supabaseClient),
  ),
  forbidden("src/client/commands/tasks", importing("supabase", "import", "tables"), "stores-only"),
  forbidden("src/activities", importing("supabase", "import", "requests"), "stores-only"),
  allowed("src/supabase", importing("supabase", "import", "tables")),
  forbidden("supabase/functions/_shared", importing("policy"), "edge-functions-stand-alone"),
  ...["src/workflows/pool", "src/contract", "src/gpu-worker", "src/supabase"].map((folder) =>
    allowed(folder, `import { stub } from "ROOT/supabase/functions/_shared/text.ts";\nexport const y = stub;`),
  ),
  forbidden("src/gpu-worker", `import "ROOT/supabase/functions/_shared/other.ts";`, "room-gpu-worker"),
  ...["src/client/commands/see", "src/dev/gateway", "src/simulator", "supabase/functions/_shared"].map((folder) =>
    forbidden(folder, `import { open } from "yauzl";\nexport const y = open;`, "no-development-packages"),
  ),
  allowed("src/dev/servers", `import { open } from "yauzl";\nexport const y = open;`),
  allowed("test/unit", importing("dev")),
  forbidden("test/unit", `import "ROOT/test/unit/other.test.ts";`, "tests-stand-alone"),
  forbidden("src/activities", `import "./nowhere.ts";`, "nothing-unresolved"),
  forbidden(
    "src/runpod",
    `import type { Back } from "ROOT/src/runpod/cycle.ts";\nexport type There = Back;`,
    "no-cycles",
  ),
];

const environment = "node(no-process-env)";

/** Rules that oxlint holds. */
const code: readonly Case[] = [
  ...["src/activities", "src/client", "src/gpu-worker", "src"].map((folder) =>
    forbidden(folder, `export const y = process.env["X"];`, environment),
  ),
  allowed("src/dev", `export const y = process.env["X"];`),
  forbidden("src/activities", "export const y = (): number => 1;", "functions(top-level-declaration)"),
  forbidden("src/activities", "export type Y = { readonly y: number };", "typescript(consistent-type-definitions)"),
  forbidden("src/activities", "export function y(x: boolean): void {\n  if (x) return;\n}", "eslint(curly)"),
  forbidden("src/activities", "export default 1;", "import(no-default-export)"),
  forbidden("src/activities", "export const y = 1;\n".padEnd(400, "\n") + "export {};", "eslint(max-lines)"),
  forbidden("src/activities", "async function later(): Promise<void> {}\nlater();", "typescript(no-floating-promises)"),
  forbidden(
    "src/activities",
    `export function y(k: "a" | "b"): void {\n  switch (k) {\n    case "a":\n      return;\n  }\n}`,
    "typescript(switch-exhaustiveness-check)",
  ),
];

/** File → names of the rules that it breaks. */
type Found = Map<string, string[]>;

function fileOf(index: number, folder: string, extension = ".ts"): string {
  return `${folder}/case-${index}${extension}`;
}

async function writeCases(copy: string, cases: readonly Case[]): Promise<void> {
  await Promise.all(
    cases.map(async ({ file, code: text }, index) => {
      const path = join(copy, fileOf(index, file, file.startsWith("test/") ? ".test.ts" : ".ts"));
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text.replaceAll("ROOT", relative(dirname(path), copy)));
    }),
  );
}

async function writeStubs(copy: string): Promise<void> {
  const rooms = [...ROOMS.filter((room) => room !== "logger"), ...INNER, ...WORKFLOW_ROOMS];
  const others = ["src/logger.ts", "test/unit/other.test.ts", "src/supabase/tables.ts", "src/supabase/requests.ts"];
  const shared = ["supabase/functions/_shared/text.ts", "supabase/functions/_shared/other.ts"];
  const files = [...others, ...shared, ...rooms.map((room) => `src/${room}/stub.ts`)];
  for (const file of files) {
    await mkdir(dirname(join(copy, file)), { recursive: true });
    await writeFile(join(copy, file), "export const stub = 1;\nexport interface Stub {}\n");
  }
  const there = fileOf(
    imports.findIndex(({ rule }) => rule === "no-cycles"),
    ".",
  );
  await writeFile(
    join(copy, "src/runpod/cycle.ts"),
    `import type { There } from "${there}";\nexport type Back = There;\n`,
  );
}

function collect(broken: Found, file: string, rule: string): void {
  broken.set(file, [...(broken.get(file) ?? []), rule]);
}

async function cruise(copy: string): Promise<Found> {
  await writeCases(copy, imports);
  await writeStubs(copy);
  const depcruise = join(root, "node_modules/.bin/depcruise");
  const { stdout } = await execa(depcruise, ["--output-type=json", "src", "test", "bench", "supabase"], {
    cwd: copy,
    reject: false,
  });
  const { summary } = JSON.parse(stdout) as { summary: { violations: { from: string; rule: { name: string } }[] } };
  const broken: Found = new Map();
  for (const { from, rule } of summary.violations) {
    collect(broken, from, rule.name);
  }
  return broken;
}

async function lint(copy: string): Promise<Found> {
  await writeCases(copy, code);
  const oxlint = join(root, "node_modules/.bin/oxlint");
  const { stdout } = await execa(oxlint, ["--format=json", "src"], { cwd: copy, reject: false });
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] };
  const broken: Found = new Map();
  for (const { filename, code: rule } of diagnostics) {
    collect(broken, filename, rule);
  }
  return broken;
}

async function inCopy(run: (copy: string) => Promise<Found>): Promise<Found> {
  const copy = await mkdtemp(join(tmpdir(), "lint-boundaries-"));
  try {
    await mkdir(join(copy, "scripts"));
    for (const file of [
      ".oxlintrc.json",
      ".dependency-cruiser.mjs",
      "tsconfig.json",
      "package.json",
      "scripts/lint-functions.mjs",
    ]) {
      await copyFile(join(root, file), join(copy, file));
    }
    await symlink(join(root, "node_modules"), join(copy, "node_modules"));
    return await run(copy);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

function rowsOf(cases: readonly Case[]) {
  return cases.map(({ file, code: text, rule }, index) => ({
    path: fileOf(index, file, file.startsWith("test/") ? ".test.ts" : ".ts"),
    file,
    head: text.trim().split("\n")[0],
    rule,
    verdict: rule ?? "allowed",
  }));
}

describe("the boundaries between the rooms", () => {
  let found: Found;
  beforeAll(async () => {
    found = await inCopy(cruise);
  });

  it.each(rowsOf(imports))("$file: $head is $verdict", ({ path, rule }) => {
    const broken = found.get(path) ?? [];
    expect(rule === null ? broken : broken.filter((each) => each === rule).slice(0, 1)).toEqual(
      rule === null ? [] : [rule],
    );
  });
});

describe("the rules for code", () => {
  let found: Found;
  beforeAll(async () => {
    found = await inCopy(lint);
  });

  it.each(rowsOf(code))("$file: $head is $verdict", ({ path, rule }) => {
    const broken = found.get(path) ?? [];
    expect(rule === null ? broken : broken.filter((each) => each === rule).slice(0, 1)).toEqual(
      rule === null ? [] : [rule],
    );
  });
});
