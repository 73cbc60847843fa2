import { execa } from "execa";
import { cp, rm, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type * as tracing from "../src/worker/tracing/tracing.ts";
import type * as workflowBundle from "../src/worker/workflow-bundle.ts";

export interface BuildOptions {
  /** Without it, types are not checked. */
  readonly check: boolean;
  /** The workflows' code; null: it is bundled from the compiled workflows, with and without what traces them. */
  readonly bundle: string | null;
}

/** Builds `dist/` in `root`, a folder with the project's sources. */
export async function build(root: string, { check, bundle }: BuildOptions): Promise<void> {
  const dist = join(root, "dist");
  await rm(dist, { recursive: true, force: true });
  const options = ["-p", "tsconfig.build.json", ...(check ? [] : ["--noCheck"])];
  await execa("tsc", options, { cwd: root, preferLocal: true, stdio: "inherit" });
  await cp(join(root, "sql"), join(dist, "sql"), { recursive: true });
  // Copies the files that the compiler does not, such as SQL and Python beside the sources.
  await cp(join(root, "src"), join(dist, "src"), {
    recursive: true,
    filter: (source) => !source.includes("__pycache__") && extname(source) !== ".ts",
  });
  if (bundle === null) {
    await bundleCompiled(dist);
  } else {
    await writeFile(join(dist, "workflow-bundle.js"), bundle);
  }
}

async function bundleCompiled(dist: string): Promise<void> {
  const { bundleWorkflows } = (await import(join(dist, "src/worker/workflow-bundle.js"))) as typeof workflowBundle;
  const { openTracing } = (await import(join(dist, "src/worker/tracing/tracing.js"))) as typeof tracing;
  // Nothing is sent there: no workflow runs.
  const traced = await openTracing("http://127.0.0.1:4318");
  await writeFile(join(dist, "workflow-bundle.js"), (await bundleWorkflows()).code);
  await writeFile(join(dist, "workflow-bundle-traced.js"), (await bundleWorkflows(undefined, traced)).code);
  await traced?.close();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await build(fileURLToPath(new URL("..", import.meta.url)), { check: true, bundle: null });
}
