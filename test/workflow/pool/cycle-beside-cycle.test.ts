import { tmpdir } from "node:os";
import { describe, expect, inject, it } from "vitest";
import type { CycleSummary } from "../../../src/contract/cycle-summary.ts";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { launchClient } from "../../kit/client.ts";
import { type Stage, until } from "../../kit/workflow/fake-service.ts";
import { gate, withKit } from "../../kit/workflow/kit.ts";
import { poolUpdates } from "../../../src/contract/pool-api.ts";

function cycle(kit: Stage, ...args: string[]) {
  const { temporalAddress: TEMPORAL_ADDRESS } = inject("shared");
  const env = { TEMPORAL_ADDRESS, TEMPORAL_TASK_QUEUE: kit.taskQueue, GPU_POOL: kit.pool };
  return launchClient(["cycle", "--json", ...args], { cwd: tmpdir(), env, from: "clone" });
}

/** The other round goes on until this cycle has seen it. */
async function beside(kit: Stage, other: { config?: Record<string, unknown> }, ...args: string[]) {
  const seen = gate();
  kit.hooks.openPool = () => seen.passed;
  kit.plans.push(kit.planOf([]));
  const round = await kit.startPool({ rounds: 1, ...other });
  const running = cycle(kit, ...args);
  running.stderr.once("data", seen.open);
  const { exitCode, stdout, stderr } = await running;
  seen.open();
  const summary = (await round.result()) as CycleSummary;
  return { exitCode, stderr, shown: JSON.parse(stdout || "null") as unknown, summary };
}

function note(kit: Stage) {
  return `gpu-pool: another cycle of pool ${kit.pool} was under way; its round is waited for and shown`;
}

describe("gpu-pool cycle beside another one", () => {
  it(
    "says so, waits for the other's round and prints its summary",
    withKit(async (kit) => {
      const { exitCode, stderr, shown, summary } = await beside(kit, {});
      expect({ exitCode, stderr, shown }).toEqual({ exitCode: 0, stderr: note(kit), shown: summary });
      expect(kit.called("watchPool")).toHaveLength(1);
    }),
  );

  it(
    "accepts the other's settings when they equal its own",
    withKit(async (kit) => {
      const config = { minActiveGpus: 1, maxActiveGpus: 2 };
      const ran = await beside(kit, { config }, "--config", '{"maxActiveGpus":2,"minActiveGpus":1}');
      expect(ran).toMatchObject({ exitCode: 0, stderr: note(kit), shown: ran.summary });
    }),
  );

  it(
    "says that its settings were not applied when the other had different ones",
    withKit(async (kit) => {
      const ran = await beside(kit, {}, "--config", '{"maxActiveGpus":2}');
      expect(ran).toMatchObject({ exitCode: 1, shown: ran.summary });
      expect(ran.stderr).toContain(`--config was not applied: another cycle of pool ${kit.pool} was under way`);
    }),
  );
});

describe("gpu-pool cycle while its pool is shut down", () => {
  it(
    "ends with an error instead of a summary",
    withKit(async (kit) => {
      const opened = gate();
      kit.hooks.openPool = () => opened.passed;
      const running = cycle(kit);
      await until(
        () => kit.called("openPool"),
        (calls) => expect(calls).toHaveLength(1),
      );
      await kit.temporal.workflow.getHandle(poolWorkflowId(kit.pool)).executeUpdate(poolUpdates.shutdown);
      kit.plans.push(kit.planOf([]));
      opened.open();
      const { exitCode, stderr } = await running;
      expect({ exitCode, stderr }).toEqual({
        exitCode: 1,
        stderr: `gpu-pool: cycle: pool ${kit.pool} was shut down during its round`,
      });
    }),
  );
});

describe("gpu-pool cycle beside a controller", () => {
  it(
    "prints the controller's latest decision",
    withKit(async (kit) => {
      kit.plans.push(kit.planOf([]));
      await kit.startPool();
      const { exitCode, stdout, stderr } = await cycle(kit);
      expect({ exitCode, stderr }).toEqual({
        exitCode: 0,
        stderr: expect.stringContaining(`a controller keeps pool ${kit.pool}`),
      });
      expect(JSON.parse(stdout)).toMatchObject({ pool: kit.pool });
    }),
  );
});
