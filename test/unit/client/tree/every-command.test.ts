import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JSON_OF } from "../../../../src/client/schemas/verbs.ts";
import { runClient } from "../../../kit/client.ts";
import { acts, commandTree, examplesOf, type Verb, verbsOf } from "../../../kit/commands/tree.ts";

const all = verbsOf(commandTree());
const doing = all.filter(acts);
/** They print the log of what they run, or a script for a shell. */
const WITHOUT_JSON = ["run", "gateway", "worker run", "completion"];
/** In docs/, not in docs/schemas/. */
const DESCRIBED_BY_HAND = ["dashboard"];

let folder = "";
let parsed: ReadonlyMap<string, readonly (readonly string[])[]> = new Map();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "every-command-"));
  await writeFile(join(folder, ".env.production"), "");
  parsed = await readByShell(doing.flatMap(({ command }) => examplesOf(command)));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** The arguments with which bash calls `gpu-pool` in each line. */
async function readByShell(lines: readonly string[]): Promise<Map<string, string[][]>> {
  const calls = join(folder, "calls");
  await mkdir(calls);
  const script = [
    `gpu-pool() { { printf '%s\\0' "$@"; printf '\\n'; } >> ${calls}/$n; }`,
    "jq() { cat > /dev/null; }",
    ...lines.map((line, index) => `(n=${index}; ${line})`),
  ];
  await execa("bash", ["-eu", "-c", script.join("\n")], { cwd: folder, env: { TOKEN: "t" }, stdin: "ignore" });
  const read = async (index: number) => {
    const text = await readFile(join(calls, String(index)), "utf8");
    return text
      .split("\0\n")
      .slice(0, -1)
      .map((call) => call.split("\0"));
  };
  return new Map(await Promise.all(lines.map(async (line, index) => [line, await read(index)] as const)));
}

/** The command that these arguments would run. */
async function dryRun(args: readonly string[]): Promise<string | null> {
  const program = commandTree(folder);
  let called: string | null = null;
  for (const { path, command } of verbsOf(program).filter(acts)) {
    command.action(() => void (called = path));
  }
  await program.parseAsync(args, { from: "user" });
  return called;
}

describe("every command", () => {
  it.each(all)("$path says what it does", ({ command }) => {
    expect(command.description()).toMatch(/^\S.{9,}/);
  });

  it("has --json where it prints data, and a published schema for that", () => {
    const withJson = doing.filter(({ command }) =>
      [...command.options, ...(command.parent?.options ?? [])].some(({ long }) => long === "--json"),
    );
    const paths = (verbs: readonly Verb[]) => verbs.map(({ path }) => path).toSorted();
    const without = doing.filter((verb) => !withJson.includes(verb));
    expect(without.map(({ path }) => path).filter((path) => !WITHOUT_JSON.includes(path))).toEqual([]);
    expect(
      paths(withJson).filter((path) => !Object.hasOwn(JSON_OF, path) && !DESCRIBED_BY_HAND.includes(path)),
    ).toEqual([]);
  });

  it.each(doing)("$path has examples that a shell and the command understand", async ({ path, command }) => {
    const examples = examplesOf(command);
    expect(examples).not.toEqual([]);
    for (const example of examples) {
      const calls = parsed.get(example) ?? [];
      expect({ example, calls: calls.length }).toEqual({ example, calls: 1 });
      expect({ example, runs: await dryRun(calls[0] ?? []) }).toEqual({ example, runs: path });
    }
  });

  it.each(doing)("$path refuses a flag that it does not have", async ({ path }) => {
    const { exitCode, stdout, stderr } = await runClient([...path.split(" "), "--no-such-flag"], {
      cwd: folder,
      env: {},
    });
    expect({ exitCode, stdout, lines: stderr.split("\n") }).toEqual({
      exitCode: 2,
      stdout: "",
      lines: [
        expect.stringMatching(/^gpu-pool: unknown option '--no-such-flag'/),
        `  gpu-pool ${path} --help shows how it is used`,
      ],
    });
  });

  const needy = doing.filter(({ command }) => command.registeredArguments.some(({ required }) => required));
  it.each(needy)("$path says which argument is missing", async ({ path }) => {
    const { exitCode, stderr } = await runClient(path.split(" "), { cwd: folder, env: {} });
    expect({ exitCode, lines: stderr.split("\n") }).toEqual({
      exitCode: 2,
      lines: [
        expect.stringMatching(/^gpu-pool: missing required argument '/),
        `  gpu-pool ${path} --help shows how it is used`,
      ],
    });
  });

  const closed = doing.filter(({ command }) => command.registeredArguments.length === 0);
  it.each(closed)("$path refuses an argument too many", async ({ path, command }) => {
    const { exitCode, stderr } = await runClient([...path.split(" "), "mian"], { cwd: folder, env: {} });
    const complaint = command.commands.length === 0 ? /^gpu-pool: too many arguments/ : /^gpu-pool: (too many|unknown)/;
    expect({ exitCode, first: stderr.split("\n")[0] }).toEqual({
      exitCode: 2,
      first: expect.stringMatching(complaint),
    });
    expect(stderr).toContain("--help shows how it is used");
  });
});
