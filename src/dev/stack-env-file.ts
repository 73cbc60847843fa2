import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { holderOf } from "./data-dir.ts";

export const DEFAULT_DATA_DIR = join(".gpu-pool", "dev");

function stackEnvFile(dataDir: string): string {
  return join(dataDir, "stack.env");
}

/** The variables of the stack that runs in the default data directory of a folder; null when none runs. */
export async function livingStackEnvFile(folder: string): Promise<{ file: string; text: string } | null> {
  if ((await holderOf(join(folder, DEFAULT_DATA_DIR))) === null) {
    return null;
  }
  const file = stackEnvFile(DEFAULT_DATA_DIR);
  const text = await readFile(join(folder, file), "utf8").catch(() => null);
  return text === null ? null : { file, text };
}

/** Writes the file readable by its owner only, because it holds the stack's keys. */
export async function writeStackEnvFile(dataDir: string, env: Readonly<Record<string, string>>): Promise<string> {
  const file = stackEnvFile(dataDir);
  const lines = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  await removeStackEnvFile(dataDir);
  await writeFile(file, `# The stack of gpu-pool dev, while it runs.\n${lines.join("\n")}\n`, { mode: 0o600 });
  return file;
}

export async function removeStackEnvFile(dataDir: string): Promise<void> {
  await rm(stackEnvFile(dataDir), { force: true });
}
