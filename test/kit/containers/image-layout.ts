import { copyFileSync, linkSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { cp, mkdir, readFile, rm, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { build } from "../../../scripts/build.ts";
import { copiesOf, type ImageName, ROOT, runsOf, stageOf } from "./dockerfile.ts";

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
  readonly packages: Readonly<Record<string, Manifest>>;
};

/** Where these packages and all that they need are installed, by their paths such as node_modules/pg. */
export function installedFor(names: readonly string[]): string[] {
  const found = new Set<string>();
  const visit = (name: string, from: string) => {
    const path = resolvePackage(name, from);
    if (path === null || found.has(path)) {
      return;
    }
    found.add(path);
    const { dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = lock.packages[path] ?? {};
    const peers = Object.keys(peerDependencies).filter((peer) => peerDependenciesMeta[peer]?.optional !== true);
    for (const needed of [...Object.keys(dependencies), ...peers]) {
      visit(needed, path);
    }
  };
  for (const name of names) {
    visit(name, "");
  }
  return [...found];
}

function resolvePackage(name: string, from: string): string | null {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
    const path = `${folder === "" ? "" : `${folder}/`}node_modules/${name}`;
    if (lock.packages[path] !== undefined) {
      return path;
    }
    if (folder === "") {
      return null;
    }
  }
}

/** The packages that this image's Dockerfile leaves in node_modules. */
export function packagesOf(image: ImageName): string[] {
  const { dependencies = {} } = lock.packages[""] ?? {};
  const [removal = ""] = runsOf(stageOf(image, "production"));
  const [, kept] = /" ([^"&]+) && npm prune/.exec(removal) ?? [];
  const deleted = [...removal.matchAll(/npm pkg delete dependencies\.(\S+)/g)].map(([, name = ""]) => name);
  return installedFor(kept?.split(" ") ?? Object.keys(dependencies).filter((name) => !deleted.includes(name)));
}

/**
 * Lays out /app as the images have it, by the COPY lines of their Dockerfiles, without an engine for containers.
 * @param directory a folder outside the project, so that packages are found nowhere else; each image gets one of its name
 * @param bundle a file with the workflows' code
 */
export async function layOutImages(images: readonly ImageName[], directory: string, bundle: string): Promise<void> {
  const built = join(directory, "build");
  await mkdir(built);
  await symlink(join(ROOT, "node_modules"), join(built, "node_modules"));
  // These stages are the same in all Dockerfiles.
  for (const stage of ["modules", "build"]) {
    for (const { sources, target } of copiesOf(stageOf("orchestrator", stage))) {
      await copyTo(ROOT, sources, join(built, target), target);
    }
  }
  await build(built, { check: false, workflows: await readFile(bundle, "utf8") });
  for (const image of images) {
    await layOut(image, built, join(directory, image));
  }
  await rm(built, { recursive: true });
}

async function layOut(image: ImageName, built: string, app: string): Promise<void> {
  for (const { from, sources, target } of copiesOf(stageOf(image, null))) {
    const inApp = sources.filter((source) => source.startsWith("/app/")).map((source) => source.slice("/app/".length));
    if (inApp.includes("node_modules")) {
      linkPackages(image, app);
    } else if (from === "build") {
      await copyTo(built, inApp, join(app, target), target);
    }
  }
}

/** As COPY: a target that ends with a slash is a folder, and a folder's content is copied. */
async function copyTo(root: string, sources: readonly string[], to: string, target: string): Promise<void> {
  for (const source of sources) {
    await cp(join(root, source), target.endsWith("/") ? join(to, basename(source)) : to, { recursive: true });
  }
}

function linkPackages(image: ImageName, directory: string): void {
  for (const path of packagesOf(image)) {
    linkFolder(join(ROOT, path), join(directory, path));
  }
}

/** Hard links, because a link to a folder would lead Node to the project's own node_modules. */
function linkFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory() && entry.name !== "node_modules") {
      linkFolder(source, target);
    } else if (entry.isFile()) {
      link(source, target);
    }
  }
}

function link(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch {
    // Another file system.
    copyFileSync(source, target);
  }
}
