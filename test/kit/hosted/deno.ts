import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";

const VERSION = "2.9.6";
const CACHE = "node_modules/.cache/deno";
const INSTALL_MS = 300_000;

/** A Deno to run the edge functions with: `DENO`, one on PATH, or else the npm package's, kept below node_modules. */
export async function findDeno(): Promise<{ readonly path: string } | { readonly missing: string }> {
  const given = process.env["DENO"];
  if (given !== undefined && given !== "") {
    return { path: given };
  }
  for (const folder of (process.env["PATH"] ?? "").split(":")) {
    if (existsSync(join(folder, "deno"))) {
      return { path: join(folder, "deno") };
    }
  }
  const kept = await binaryBelow(CACHE);
  if (kept !== null) {
    return { path: kept };
  }
  // Without scripts: the package's own would start a wrapper that passes no signals on.
  const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", CACHE, `deno@${VERSION}`];
  const { failed, shortMessage } = await execa("npm", args, { reject: false, timeout: INSTALL_MS });
  const path = await binaryBelow(CACHE);
  return path === null ? { missing: failed ? (shortMessage ?? "npm failed") : "npm installed no binary" } : { path };
}

async function binaryBelow(folder: string): Promise<string | null> {
  const packages = join(folder, "node_modules", "@deno");
  const names = existsSync(packages) ? await readdir(packages) : [];
  return names.map((name) => join(packages, name, "deno")).find((path) => existsSync(path)) ?? null;
}
