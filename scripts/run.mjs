// Runs a TypeScript program of this project, after installing the dependencies where they are missing or stale.
// Plain JavaScript that needs only Node, because it is the first program that runs in a fresh clone.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** @param {string} message */
function giveUp(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 12)) {
    giveUp(`gpu-pool needs Node 20.12 or newer; this is ${process.versions.node} (${process.execPath}).`);
  }
}

function isInstalled() {
  const installed = resolve(root, "node_modules/.package-lock.json");
  const lock = resolve(root, "package-lock.json");
  if (!existsSync(installed)) {
    return false;
  }
  if (statSync(installed).mtimeMs >= statSync(lock).mtimeMs) {
    return true;
  }
  // A checkout changes a file's time without changing the file, so the versions decide.
  const versions = (file) =>
    Object.entries(JSON.parse(readFileSync(file, "utf8")).packages ?? {})
      .filter(([path, entry]) => path !== "" && !entry.optional)
      .map(([path, entry]) => `${path}@${entry.version}`);
  const present = new Set(versions(installed));
  return versions(lock).every((each) => present.has(each));
}

function install() {
  process.stderr.write("Installing dependencies (npm ci) …\n");
  const { status, error } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32",
  });
  if (status !== 0) {
    giveUp(`npm ci failed${error ? ` (${error.message})` : ""}: run it by hand in ${root} to see why.`);
  }
}

checkNode();
if (!isInstalled()) {
  install();
}
const [program = ""] = process.argv.splice(2, 1);
process.argv[1] = resolve(root, program);
const { register } = await import("tsx/esm/api");
register();
const { endWithNpm } = await import("../src/process/end-with-npm.ts");
endWithNpm(process.env);
await import(pathToFileURL(resolve(root, program)).href);
