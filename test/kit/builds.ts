import { cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { ManagedProcess } from "../../src/process/guardian.ts";
import { projectProgram } from "../../src/process/program.ts";
import type { TestStack } from "./stack.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A change of one file's text, which must be there. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Another version of the project's sources. */
export interface Build {
  /** Starts its Temporal worker, as a deploy does. It bundles its own workflows. */
  start(settings: Readonly<Record<string, string>>, onLine?: (line: string) => void): ManagedProcess;
  /** Runs its `gpu-pool` command. */
  run(args: readonly string[], onLine?: (line: string) => void): ManagedProcess;
}

/** @param migrations text by name, for migrations that only this version has. */
export async function makeBuild(
  stack: TestStack,
  name: string,
  edits: readonly Edit[],
  migrations: Readonly<Record<string, string>> = {},
): Promise<Build> {
  const root = join(stack.directory, name);
  await mkdir(root);
  for (const part of ["src", "sql", "bin", "supabase/functions/_shared", "package.json", "tsconfig.json"]) {
    await cp(join(ROOT, part), join(root, part), { recursive: true });
  }
  await symlink(join(ROOT, "node_modules"), join(root, "node_modules"));
  for (const { file, from, to } of edits) {
    const source = await readFile(join(root, file), "utf8");
    expect(source).toContain(from);
    await writeFile(join(root, file), source.replace(from, to));
  }
  for (const [migration, sql] of Object.entries(migrations)) {
    await writeFile(join(root, "sql", `${migration}.sql`), sql);
  }
  const spawn = (main: string, args: readonly string[], env: object, onLine: (line: string) => void) => {
    const { command, args: own } = projectProgram("worker");
    return stack.guardian.spawn(command, [...own.slice(0, -1), join(root, main), ...args], {
      name: `build ${name}`,
      env: { ...process.env, ...stack.env, ...env },
      onLine,
    });
  };
  return {
    start: (settings, onLine = () => undefined) => spawn("src/worker.ts", [], settings, onLine),
    run: (args, onLine = () => undefined) => spawn("src/client/main.ts", args, {}, onLine),
  };
}
