import { execa } from "execa";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** A path below one of the repository's folders, in prose as in commands. Built files and URLs have something before it, links are relative. */
const PATH =
  /(?<![\w/.…-]|\]\()(?:src|test|sql|docs|supabase|bench|scripts|bin|deployment|\.ci|\.github)\/[\w./-]*[\w/]/g;
/** A file's bare name in backticks, or a settings file of the root. */
const NAME = /`([\w.-]+\.(?:ts|mjs|sql|jsonc?))`/g;
const LINK = /\]\((?!https?:)([^)\s]+)\)/g;
/** Files of a running stack, not of the repository. */
const NOT_OURS = new Set(["secrets.json"]);

interface Page {
  readonly path: string;
  readonly text: string;
}

let pages: Page[] = [];
let names: ReadonlySet<string> = new Set();

beforeAll(async () => {
  const { stdout } = await execa("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root });
  const files = stdout.split("\n").filter((path) => existsSync(join(root, path)));
  names = new Set(files.map((path) => basename(path)));
  const documents = files.filter((path) => path.endsWith(".md"));
  pages = await Promise.all(documents.map(async (path) => ({ path, text: await readFile(join(root, path), "utf8") })));
});

/** The anchors that the headings of a page get. */
function anchors(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function missingPaths({ path, text }: Page): string[] {
  const paths = [...text.matchAll(PATH)].map(([found]) => found).filter((found) => !existsSync(join(root, found)));
  const bare = [...text.matchAll(NAME)]
    .map(([, name = ""]) => name)
    .filter((name) => !names.has(name) && !NOT_OURS.has(name));
  return [...paths, ...bare].map((found) => `${path}: ${found}`);
}

function brokenLinks({ path, text }: Page): string[] {
  return [...text.matchAll(LINK)].flatMap(([, target = ""]) => {
    const [file = "", anchor] = target.split("#");
    const linked = file === "" ? path : posix.join(dirname(path), file);
    const isThere = existsSync(join(root, linked));
    const isFound =
      anchor === undefined || anchors(pages.find((page) => page.path === linked)?.text ?? "").includes(anchor);
    return isThere && isFound ? [] : [`${path}: ${target}`];
  });
}

describe("the documentation", () => {
  it("names only objects of the database that exist, where it says what holds an invariant", async () => {
    const files = (await readdir(join(root, "sql"))).filter((name) => name.endsWith(".sql"));
    const sql = (await Promise.all(files.map((name) => readFile(join(root, "sql", name), "utf8")))).join("\n");
    const architecture = pages.find(({ path }) => path === "docs/architecture.md")?.text ?? "";
    const objects = [...architecture.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)].map(([, name = ""]) => name);
    expect(objects.length).toBeGreaterThan(20);
    expect(objects.filter((name) => !new RegExp(`\\b${name}\\b`).test(sql))).toEqual([]);
  });

  it("names only files and folders of the repository that exist", () => {
    expect(pages.length).toBeGreaterThan(20);
    expect(pages.flatMap(missingPaths)).toEqual([]);
  });

  it("lists for each room the rooms that the boundaries let it import", async () => {
    const file = new URL("../../../.dependency-cruiser.mjs", import.meta.url).href;
    const config = (await import(file)) as { default: { forbidden: { name: string; comment: string }[] } };
    const rules = config.default.forbidden.filter(({ name }) => name.startsWith("room-"));
    const wanted = rules.map(({ name, comment }) => {
      const others = comment.split(" may import ")[1] ?? "";
      return [name.slice("room-".length), others.startsWith("nothing") ? [] : others.split(", ").toSorted()];
    });
    const architecture = pages.find(({ path }) => path === "docs/architecture.md")?.text ?? "";
    const documented = wanted.map(([room]) => {
      const row =
        new RegExp(`^\\| .src/${String(room)}(?:/|\\.ts). .*\\| ([^|]*) \\|$`, "m").exec(architecture)?.[1] ?? "no row";
      return [room, [...(row.split(";")[0] ?? "").matchAll(/`([\w-]+)`/g)].map(([, other = ""]) => other).toSorted()];
    });
    expect(documented.length).toBeGreaterThan(10);
    expect(documented).toEqual(wanted);
  });

  it("links only to pages and headings that exist", () => {
    expect(pages.flatMap(brokenLinks)).toEqual([]);
  });

  it("names no command that would fetch a package of the project's name from the public registry", () => {
    const fetches = /\b(?:npx|npm (?:exec|x|i|install))\s+(?:-\S+\s+)*gpu-pool\b/;
    expect("npm i -g gpu-pool").toMatch(fetches);
    expect(pages.filter(({ text }) => fetches.test(text)).map(({ path }) => path)).toEqual([]);
  });
});
