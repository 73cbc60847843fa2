import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolWorkflowId, workerWorkflowId } from "../../../src/contract/names.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import { expectDoneOnce, expectNothingLeft, workerStates } from "../../kit/lifecycle.ts";

interface ShownPod {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
}

describe("secrets", () => {
  const lines: string[] = [];
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ env: { LOG_LEVEL: "trace" } });
    stack.startTemporalWorker((line) => lines.push(line));
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  it("invariant 10: no token and no key appears in any history, log or journal, also with faults and failures", async () => {
    stack.simulator.addFault({ on: "create", kind: "garbage", created: true });
    stack.simulator.addFault({ on: "create", kind: "no-capacity" });
    stack.simulator.addFault({ on: "delete", kind: "error" });
    stack.simulator.addFault({ on: "list", kind: "error", times: 2 });
    const good = await stack.submit(5);
    await stack.submit(1, { frames: -1 });
    const tokens = new Map<string, string>();
    const collectTokens = async () => {
      for (const { name, env } of await shownPods()) {
        tokens.set(name, env["WORKER_TOKEN"] ?? "");
        tokens.set(`${name}, heartbeats`, env["OLD_WORKER_URL"]?.split("/").at(-1) ?? "");
      }
      return (await workerStates(stack)).filter(({ pod_id, id }) => pod_id !== null && tokens.has(id)).length;
    };
    await expect.poll(collectTokens).toBeGreaterThanOrEqual(1);
    await expectDoneOnce(stack, good);
    await collectTokens();
    await expectNothingLeft(stack);

    const secrets = [stack.keys.serviceRoleKey, stack.keys.jwtSecret, stack.simulator.apiKey, ...tokens.values()];
    expect(secrets.every((secret) => secret.length >= 20)).toBe(true);
    const places = { ...(await histories()), ...(await podLogs()), journal: await journal(), log: lines.join("\n") };
    for (const [place, text] of Object.entries(places)) {
      expect({ place, leaked: secrets.filter((secret) => text.includes(secret)).length }).toEqual({ place, leaked: 0 });
      // Without this check, a text that was not read at all would pass.
      expect({ place, read: text.includes(stack.pool) }).toEqual({ place, read: true });
    }
  });

  async function shownPods(): Promise<readonly ShownPod[]> {
    const { apiUrl, apiKey } = stack.simulator;
    const headers = { authorization: `Bearer ${apiKey}`, "user-agent": "test" };
    const answer = await fetch(`${apiUrl}/pods`, { headers });
    return answer.ok ? ((await answer.json()) as { pods: ShownPod[] }).pods : [];
  }

  async function histories(): Promise<Record<string, string>> {
    const workers = (await workerStates(stack)).map(({ id }) => workerWorkflowId(stack.pool, id));
    const read = async (workflowId: string) => {
      const history = await stack.temporal.workflow.getHandle(workflowId).fetchHistory();
      return [workflowId, textOf(history)] as const;
    };
    return Object.fromEntries(await Promise.all([poolWorkflowId(stack.pool), ...workers].map(read)));
  }

  async function podLogs(): Promise<Record<string, string>> {
    const folder = join(stack.directory, "pods");
    const files = (await readdir(folder)).filter((name) => name.endsWith(".log"));
    const read = async (name: string) => [name, await readFile(join(folder, name), "utf8")] as const;
    return Object.fromEntries(await Promise.all(files.map(read)));
  }

  async function journal(): Promise<string> {
    const rows = await stack.rows("select * from pool_events");
    return JSON.stringify([rows, await stack.rows("select * from workers"), await stack.rows("select * from tasks")]);
  }
});

/** Every string of a history, with payloads decoded: as bytes in JSON they would hide a secret. */
function textOf(value: unknown): string {
  if (value instanceof Uint8Array) {
    return Buffer.from(value).toString("utf8");
  }
  if (typeof value === "object" && value !== null) {
    return Object.values(value).map(textOf).join("\n");
  }
  return String(value);
}
