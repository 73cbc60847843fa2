import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launchClient, runClient } from "../../kit/client.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

const PAGE = new URL("../../../docs/own-accounts.md", import.meta.url);

let stack: TestStack;
let cwd = "";

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "own-accounts-"));
  stack = await startTestStack();
});

afterAll(async () => {
  await stack?.close();
  await rm(cwd, { recursive: true, force: true });
});

/** The lines of the page's shell blocks, in order. */
async function commandsOfPage(): Promise<string[]> {
  const blocks = [...(await readFile(PAGE, "utf8")).matchAll(/^ *```sh\n([^]*?)^ *```$/gm)];
  return blocks.flatMap(([, block = ""]) => block.split("\n").map((line) => line.trim())).filter((line) => line !== "");
}

/** Splits a line as a shell does, as far as the page needs it. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}

/** Runs each line by itself. @returns what each printed */
async function walk(lines: readonly string[]): Promise<Map<string, string>> {
  const printed = new Map<string, string>();
  for (const line of lines) {
    const [command, ...words] = wordsOf(line);
    const [worker] = await stack.rows<{ id: string }>("select id from workers order by created_at limit 1");
    const args = words.map((word) => (word === "<id>" ? (worker?.id ?? "no worker") : word));
    const { exitCode, stdout, stderr } = await runClient(args, { cwd, env: {} });
    const said = exitCode === 0 ? "" : `${stdout}\n${stderr}`;
    expect({ line, command, exitCode, said }).toEqual({ line, command: "gpu-pool", exitCode: 0, said: "" });
    printed.set(line, stdout);
  }
  return printed;
}

it("leads from three accounts to a video, command by command", async () => {
  const env = { ...stack.env, TEMPORAL_NAMESPACE: `own-${stack.pool}`, WORKER_PROFILE: "gpu-worker" };
  const filled = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  await writeFile(join(cwd, ".env"), filled.join("\n"));
  const [copy, ...lines] = await commandsOfPage();
  expect(copy).toBe("cp .env.example .env");
  const service = lines.indexOf("gpu-pool run");
  expect(service).toBeGreaterThan(0);

  await walk(lines.slice(0, service));
  const serving = launchClient(["run"], { cwd, env: {} });
  try {
    await expect
      .poll(async () => (await runClient(["doctor", "--json"], { cwd, env: {} })).stdout)
      .toContain("served by ");
    const printed = await walk(lines.slice(service + 1));
    const url = [...printed].find(([line]) => line.startsWith("gpu-pool submit"))?.[1] ?? "";
    const video = await fetch(url);
    expect(video.headers.get("content-type")).toBe("video/mp4");
    await video.body?.cancel();
    expect(printed.get("gpu-pool explain")).toContain(`pool ${stack.pool}`);
    expect(stack.simulator.ledger().pods.filter(({ live }) => live)).toEqual([]);
  } finally {
    serving.kill("SIGTERM");
    await serving;
  }
});
