import { afterAll, beforeAll, expect, it } from "vitest";
import { launchClient, runClient, runProcess } from "../kit/client.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack();
});
afterAll(() => stack?.close());

it("gpu-pool run --start serves the workflows and starts its pool, until SIGTERM", async () => {
  const options = { cwd: stack.directory, env: stack.env };
  const running = launchClient(["run", "--start"], options);
  await expect
    .poll(async () => {
      const { exitCode, stdout } = await runClient(["status", "--json"], options);
      return exitCode === 0 ? (JSON.parse(stdout) as { controller: object }).controller : null;
    })
    .toMatchObject({ state: "answers", phase: "watching" });
  // Not by execa, which sends SIGKILL after five seconds.
  process.kill(running.pid ?? 0, "SIGTERM");
  const { exitCode, stderr } = await running;
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("started") });
});

it("gpu-pool run ends with 4 where no Temporal server answers", async () => {
  const { exitCode, stderr } = await runProcess(["run"], {
    cwd: stack.directory,
    env: { ...stack.env, TEMPORAL_ADDRESS: "127.0.0.1:1" },
  });
  expect({ exitCode, stderr }).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining("no answer from Temporal"),
  });
});
