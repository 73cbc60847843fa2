import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLightPodLauncher } from "../../src/simulator/light-pod.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";
import { runClient } from "../kit/client.ts";
import { PATIENCE_MS } from "../kit/patience.ts";

describe("a pool that its controller cannot observe", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack({ launch: createLightPodLauncher() });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => await stack?.close());

  const run = async (...args: string[]) => (await runClient(args, { cwd: tmpdir(), env: stack.env })).stdout;
  const isStale = async () =>
    (JSON.parse(await run("status", "--json")) as { controller: { stale: boolean | null } }).controller.stale;

  it("is shown with a warning when its last good look is old, and without one after the next good look", async () => {
    await expect.poll(isStale).toBe(false);
    await stack.rows(`update pools set config = '{"maxActiveGpus": "lots"}'`);
    await expect.poll(isStale, { timeout: 2 * PATIENCE_MS, interval: 3_000 }).toBe(true);
    expect(await run("status")).toMatch(/^WARNING +not observed for /m);
    expect(await run("explain")).toMatch(/^WARNING: not observed for /m);
    await stack.rows("update pools set config = '{}'");
    await expect.poll(isStale, { interval: 3_000 }).toBe(false);
  });
});
