#!/usr/bin/env node
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 12)) {
  process.stderr.write(`gpu-pool needs Node 20.12 or newer; this is ${process.versions.node} (${process.execPath})\n`);
  process.exit(2);
}

const root = fileURLToPath(new URL("..", import.meta.url));
const source = new URL("../src/client/main.ts", import.meta.url);
const built = new URL("../dist/src/client/main.js", import.meta.url);

/** What a build is made of. */
const MADE_OF = ["package.json", "sql", "src", "supabase/functions/_shared"];

// An image holds only the build. A clone runs its build while that is newer than all its sources, which starts several
// times as fast, and else its sources.
if (!existsSync(source) || isFresh()) {
  await import(built.href);
} else {
  await import("./register-tsx.js").catch((error) => {
    if (error.code !== "ERR_MODULE_NOT_FOUND") {
      throw error;
    }
    process.stderr.write(`gpu-pool: its dependencies are not installed; run npm ci in ${root}\n`);
    process.exit(1);
  });
  await import(source.href);
}

/** The build carries the time at which it began. */
function isFresh() {
  const begun = statSync(built, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return begun > 0 && MADE_OF.every((part) => isOlder(join(root, part), begun));
}

/**
 * @param {string} path
 * @param {number} timeMs
 */
function isOlder(path, timeMs) {
  const entry = statSync(path, { throwIfNoEntry: false });
  if (!entry?.isDirectory()) {
    return entry === undefined || entry.mtimeMs < timeMs || path.endsWith(".pyc");
  }
  return readdirSync(path).every((name) => isOlder(join(path, name), timeMs));
}
