import { build as bundle, type Plugin } from "esbuild";
import { execa } from "execa";
import { cp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type * as tracing from "../src/worker/tracing/tracing.ts";
import type * as workflowBundle from "../src/worker/workflow-bundle.ts";

export interface BuildOptions {
  /** Without it, types are not checked. */
  readonly check: boolean;
  /** The workflows' code; null: it is bundled from the compiled workflows, with and without what traces them. */
  readonly workflows: string | null;
}

/** Builds `dist/` in `root`, a folder with the project's sources. */
export async function build(root: string, { check, workflows }: BuildOptions): Promise<void> {
  const begun = new Date();
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
  if (workflows === null) {
    await bundleCompiled(dist);
  } else {
    await writeFile(join(dist, "workflow-bundle.js"), workflows);
  }
  await joinCommand(join(dist, "src"));
  // A source that was written meanwhile is newer than this build (bin/gpu-pool.js).
  await utimes(join(dist, "src/client/main.js"), begun, begun);
}

/** Packages of many modules that most verbs load. The others are few modules, native, or rarely needed. */
const JOINED = /^(?:commander|zod|@supabase\/supabase-js|@temporalio\/(?:client|common|envconfig))(?:\/|$)/;

/**
 * Joins the modules of the command, and those packages, into one file and a chunk for what its actions share: opening hundreds
 * of files takes most of the time that a verb needs.
 */
async function joinCommand(src: string): Promise<void> {
  const folder = join(src, "client");
  await bundle({
    entryPoints: [join(folder, "main.js")],
    outdir: folder,
    chunkNames: "chunk-[hash]",
    allowOverwrite: true,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    // CommonJS packages ask for Node's own modules by this name.
    banner: {
      js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);',
    },
    logLevel: "error",
    plugins: [staysOutside(src), keepsItsPlace(src), shortensMessages()],
  });
}

/** The Temporal worker is made of its own files, because its SDK and its activities must share one copy of their packages. */
function staysOutside(src: string): Plugin {
  return {
    name: "stays-outside",
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
        const below = relative(src, resolve(resolveDir, path));
        return below.startsWith("worker/") ? { path: `../${below}`, external: true } : undefined;
      });
      onResolve({ filter: /^[^./]/ }, ({ path, resolveDir, kind }) => {
        const isOurs = kind !== "entry-point" && !resolveDir.includes("/node_modules/");
        return isOurs && !JOINED.test(path) ? { path, external: true } : undefined;
      });
    },
  };
}

/** A module finds the files and programs beside it by its address, which is that of the joined file otherwise. */
function keepsItsPlace(src: string): Plugin {
  return {
    name: "keeps-its-place",
    setup({ onLoad }) {
      onLoad({ filter: /\.js$/ }, async ({ path }) => {
        const text = await readFile(path, "utf8");
        if (path.includes("/node_modules/") || !text.includes("import.meta.url")) {
          return undefined;
        }
        const place = `../${relative(src, path)}`;
        const contents = text.replaceAll("import.meta.url", `new URL(${JSON.stringify(place)}, import.meta.url).href`);
        return { contents, resolveDir: dirname(path) };
      });
    },
  };
}

/**
 * The description of all messages of Temporal, 1.4 MB, without those of Temporal Cloud's and of the SDK's own core, which no client sends. As a
 * text, because JSON is read in half the time that a program of the same length takes.
 */
function shortensMessages(): Plugin {
  return {
    name: "shortens-messages",
    setup({ onLoad }) {
      onLoad({ filter: /@temporalio\/proto\/protos\/json-module\.js$/ }, async ({ path }) => {
        const text = await readFile(path, "utf8");
        const [begin, end] = [text.indexOf(".addJSON(") + ".addJSON(".length, text.lastIndexOf("});") + 1];
        const root = JSON.parse(text.slice(begin, end)) as MessageRoot;
        delete root.coresdk;
        delete root.temporal.nested.api.nested.cloud;
        const short = `JSON.parse(${JSON.stringify(JSON.stringify(root))})`;
        return { contents: text.slice(0, begin) + short + text.slice(end), resolveDir: dirname(path) };
      });
    },
  };
}

interface MessageRoot {
  coresdk?: unknown;
  readonly temporal: { readonly nested: { readonly api: { readonly nested: { cloud?: unknown } } } };
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
  await build(fileURLToPath(new URL("..", import.meta.url)), { check: true, workflows: null });
}
