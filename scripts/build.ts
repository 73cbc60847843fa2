import { execa } from "execa";
import { cp, rm, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type * as workflowBundle from "../src/worker/workflow-bundle.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");

await rm(dist, { recursive: true, force: true });
await execa("tsc", ["-p", "tsconfig.build.json"], { cwd: root, preferLocal: true, stdio: "inherit" });
await cp(join(root, "sql"), join(dist, "sql"), { recursive: true });
// Copies the files that the compiler does not, such as SQL and Python beside the sources.
await cp(join(root, "src"), join(dist, "src"), {
  recursive: true,
  filter: (source) => !source.includes("__pycache__") && extname(source) !== ".ts",
});
// The compiled bundler, because it bundles the compiled workflows.
const compiled = (await import(join(dist, "src/worker/workflow-bundle.js"))) as typeof workflowBundle;
const { code } = await compiled.bundleWorkflows();
await writeFile(join(dist, "workflow-bundle.js"), code);
