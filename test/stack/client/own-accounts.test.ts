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

it("leads from three accounts to a video, command by command", async () => {
  const namespace = `own-${stack.pool}`;
  const env = { ...stack.env, TEMPORAL_NAMESPACE: namespace, WORKER_PROFILE: "gpu-worker" };
  let serving: ReturnType<typeof launchClient> | undefined;
  const printed = new Map<string, string>();
  try {
    for (const line of await commandsOfPage()) {
      if (line === "cp .env.example .env") {
        const filled = Object.entries(env).map(([name, value]) => `${name}=${value}`);
        await writeFile(join(cwd, ".env"), filled.join("\n"));
        continue;
      }
      const [command, ...words] = wordsOf(line);
      expect({ line, command }).toEqual({ line, command: "gpu-pool" });
      if (line === "gpu-pool run") {
        serving = launchClient(["run"], { cwd, env: {} });
        await expect
          .poll(async () => (await runClient(["doctor", "--json"], { cwd, env: {} })).stdout)
          .toContain("served by ");
        continue;
      }
      const [worker] = await stack.rows<{ id: string }>("select id from workers order by created_at limit 1");
      const args = words.map((word) => (word === "<id>" ? (worker?.id ?? "no worker") : word));
      const { exitCode, stdout, stderr } = await runClient(args, { cwd, env: {} });
      expect({ line, exitCode, stderr: exitCode === 0 ? "" : `${stdout}\n${stderr}` }).toEqual({
        line,
        exitCode: 0,
        stderr: "",
      });
      printed.set(line, stdout);
    }
  } finally {
    serving?.kill("SIGTERM");
    await serving;
  }
  const submitted = [...printed].find(([line]) => line.startsWith("gpu-pool submit"))?.[1] ?? "";
  const video = await fetch(submitted);
  expect(video.headers.get("content-type")).toBe("video/mp4");
  await video.body?.cancel();
  expect(printed.get("gpu-pool explain")).toContain(`pool ${stack.pool}`);
  expect(stack.simulator.ledger().pods.filter(({ live }) => live)).toEqual([]);
});
