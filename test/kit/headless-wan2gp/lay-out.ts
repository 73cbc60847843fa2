import { existsSync } from "node:fs";
import { chmod, copyFile, cp, mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { TestStack } from "../stack.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
const STAND_INS = join(here, "stand-ins");

export const DATA_CENTER = "EU-RO-1";

/** @returns the new network volume and the folder that stands for it. */
export async function makeVolume({ simulator }: TestStack): Promise<{ readonly id: string; readonly folder: string }> {
  const answer = await fetch(`${simulator.apiUrl}/network-volumes`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${simulator.apiKey}`,
      "user-agent": "test",
      "content-type": "application/json",
    },
    body: JSON.stringify({ name: "weights", size: 100, dataCenter: DATA_CENTER }),
  });
  const { id } = (await answer.json()) as { id: string };
  const made = simulator.volumes().find((volume) => volume.id === id);
  if (made === undefined) {
    throw new Error(`no volume was made: HTTP ${answer.status}`);
  }
  return made;
}

/** The interpreter of this machine. @throws Error that says how to get one */
export async function findPython(): Promise<string> {
  const found = await execa("python3", ["-c", "import sys; print(sys.executable)"], { reject: false });
  if (found.exitCode !== 0) {
    throw new Error(
      "this test runs a Python program: install Python 3 (apt-get install python3), with python3 on PATH",
    );
  }
  return found.stdout.trim();
}

/** Lays a volume out as a prepared one is: checkout, venv, engine, with the double in place of the worker. */
export async function layOutDouble(volume: string): Promise<void> {
  const home = join(volume, "Headless-Wan2GP");
  await mkdir(join(home, "Wan2GP"), { recursive: true });
  await copyFile(join(here, "worker.py"), join(home, "worker.py"));
  await writeFile(join(home, "Wan2GP", "wgp.py"), "");
  await layOutVenv(home, await findPython());
}

/**
 * Lays out a checkout of the real worker, unmodified but for wgp.py.
 * @param python an interpreter that has the worker's packages
 * @returns a folder for PYTHONPATH, with what takes the place of torch, and of further packages that `python` lacks
 */
export async function layOutCheckout(volume: string, checkout: string, python: string): Promise<string> {
  const home = join(volume, "Headless-Wan2GP");
  const left = new Set([".git", "Wan2GP", "venv"]);
  await cp(checkout, home, { recursive: true, filter: (path) => path === checkout || !left.has(basename(path)) });
  await mkdir(join(home, "Wan2GP"));
  for (const name of (await readdir(join(checkout, "Wan2GP"))).filter((each) => each !== "wgp.py")) {
    await symlink(join(checkout, "Wan2GP", name), join(home, "Wan2GP", name));
  }
  await copyFile(join(STAND_INS, "wgp.py"), join(home, "Wan2GP", "wgp.py"));
  await layOutVenv(home, python);
  const modules = join(volume, "stand-ins");
  await mkdir(modules);
  await copyFile(join(STAND_INS, "torch.py"), join(modules, "torch.py"));
  for (const name of ["huggingface_hub", "mediapipe"]) {
    const { exitCode } = await execa(python, ["-c", `import ${name}`], { reject: false });
    if (exitCode !== 0) {
      await copyFile(join(STAND_INS, `${name}.py`), join(modules, `${name}.py`));
    }
  }
  return modules;
}

/** A link would not do: an interpreter finds its packages by the path that it was started by. */
async function layOutVenv(home: string, python: string): Promise<void> {
  const program = join(home, "venv", "bin", "python");
  await mkdir(join(home, "venv", "bin"), { recursive: true });
  await writeFile(program, `#!/bin/sh\nexec '${python}' "$@"\n`);
  await chmod(program, 0o755);
}

/** The checkout of the real worker that this run has, or why it has none. */
export function realWorker(): { readonly checkout: string; readonly python: string } | { readonly missing: string } {
  const checkout = process.env["HEADLESS_WAN2GP_DIR"];
  if (!checkout) {
    return { missing: "HEADLESS_WAN2GP_DIR names no checkout of Headless-Wan2GP" };
  }
  if (!existsSync(join(checkout, "worker.py"))) {
    return { missing: `HEADLESS_WAN2GP_DIR=${checkout} holds no worker.py` };
  }
  const inCheckout = join(checkout, "venv", "bin", "python");
  return {
    checkout,
    python: process.env["HEADLESS_WAN2GP_PYTHON"] ?? (existsSync(inCheckout) ? inCheckout : "python3"),
  };
}
