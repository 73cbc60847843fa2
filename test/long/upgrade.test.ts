import { afterAll, beforeAll, expect, it } from "vitest";
import { poolUpdates } from "../../src/contract/pool-api.ts";
import { poolWorkflowId } from "../../src/contract/names.ts";
import type { ManagedProcess } from "../../src/process/guardian.ts";
import { createLightPodLauncher } from "../../src/simulator/light-pod.ts";
import { type Build, type Edit, makeBuild } from "../kit/builds.ts";
import { expectNothingLeft, livingWorkers } from "../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";

/** A change of the pool's workflow that no history of today has: one more timer in every round. */
const ONE_MORE_TIMER: readonly Edit[] = [
  {
    file: "src/workflows/pool/gpu-pool.ts",
    from: "  for (let round = 1; ; round += 1) {\n",
    to: '  const later = patched("one-more-timer");\n  for (let round = 1; ; round += 1) {\n    if (later) {\n      await sleep("20ms");\n    }\n',
  },
  { file: "src/workflows/pool/gpu-pool.ts", from: "  condition,\n", to: "  condition,\n  patched,\n  sleep,\n" },
];
const DORMANT: Edit = {
  file: "src/worker/dormant-patches.ts",
  from: "new Set<string>([])",
  to: 'new Set<string>(["one-more-timer"])',
};
/** The newer policy plans an action that the older workflow does not know. */
const NEW_ACTION: Edit = {
  file: "src/policy/decide.ts",
  from: "return [...drains, {",
  to: 'return [{ kind: "rebalance" } as never, ...drains, {',
};
const BY_THE_NEWER = "select 1 from pool_events where details -> 'actions' @> '[{\"kind\": \"rebalance\"}]'";
const MIGRATION = "29990101000000_tomorrow";

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack({
    env: { MAX_ACTIVE_GPUS: "60", MAX_LAUNCHES_PER_MINUTE: "60" },
    launch: createLightPodLauncher(),
  });
});
afterAll(() => stack?.close());

/** Tells the pool a size that is larger by one, and waits until it has it; by turns either process decides. */
async function grow(): Promise<void> {
  const size = (await livingWorkers(stack)).length + 1;
  await stack.rows("select pool_set_intent($1, 'scale', null, $2)", [stack.pool, size]);
  const active = async () => (await livingWorkers(stack)).filter(({ status }) => status === "active").length;
  await expect.poll(active).toBe(size);
}

/** As a loop, because one after the other takes longer than a single wait may. */
async function growUntil(isEnough: () => Promise<boolean>): Promise<void> {
  for (let times = 0; times < 20 && !(await isEnough()); times += 1) {
    await grow();
  }
  expect(await isEnough()).toBe(true);
}

async function stop(build: ManagedProcess): Promise<void> {
  process.kill(build.pid, "SIGTERM");
  expect(await build.exited).toMatchObject({ code: 0 });
}

/** How many of the pool's runs began with the patch, and how many workflow tasks failed. */
async function histories(): Promise<{ patched: number; plain: number; failed: unknown[] }> {
  const counts = { patched: 0, plain: 0, failed: [] as unknown[] };
  const query = `WorkflowId = '${poolWorkflowId(stack.pool)}'`;
  for await (const { workflowId, runId } of stack.temporal.workflow.list({ query })) {
    const { events = [] } = await stack.temporal.workflow.getHandle(workflowId, runId).fetchHistory();
    const isPatched = (events ?? []).some(
      ({ markerRecordedEventAttributes: marker }) => marker?.markerName === "core_patch",
    );
    counts[isPatched ? "patched" : "plain"] += 1;
    counts.failed.push(...(events ?? []).flatMap((event) => event.workflowTaskFailedEventAttributes ?? []));
  }
  return counts;
}

it("a pool lives on while two releases alternate, forwards and back, with a changed workflow, policy and schema", async () => {
  const older = await makeBuild(stack, "older", [...ONE_MORE_TIMER, DORMANT]);
  const newer = await makeBuild(stack, "newer", [...ONE_MORE_TIMER, NEW_ACTION], {
    [MIGRATION]: "alter table workers add column tomorrow text;",
  });
  const first = older.start({});
  // A few decisions fill a run, so that many runs begin in each phase.
  await stack.startPool({ maxHistoryLength: 60 });
  await expect.poll(() => stack.rows("select 1 from pools where name = $1", [stack.pool])).toHaveLength(1);
  await grow();
  await grow();
  const fromTheBeginning = await livingWorkers(stack);

  const lines: string[] = [];
  const second = newer.start({ LOG_LEVEL: "info" }, (line) => void lines.push(line));
  await expect.poll(() => lines.join("\n")).toContain(MIGRATION);
  await grow();
  await migrateBy(newer);
  await expect.poll(() => lines.join("\n")).toMatch(/"RUNNING"[^]*"RUNNING"/);
  await growUntil(async () => (await stack.rows(BY_THE_NEWER)).length > 0);

  await stop(first);
  await grow();
  await growUntil(async () => (await histories()).patched > 1);

  // The way back: the older release beside the newer one, then alone, with runs that have the patch.
  const back = older.start({});
  await grow();
  await stop(second);
  await grow();
  await grow();
  await grow();

  const { plain, failed } = await histories();
  expect(failed).toEqual([]);
  expect(plain).toBeGreaterThan(0);
  const living = (await livingWorkers(stack)).map(({ id, pod_id }) => ({ id, pod_id }));
  expect(living).toEqual(expect.arrayContaining(fromTheBeginning.map(({ id, pod_id }) => ({ id, pod_id }))));

  const pool = stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
  await pool.executeUpdate(poolUpdates.shutdown);
  await pool.result();
  await expectNothingLeft(stack);
  await stop(back);
});

async function migrateBy(build: Build): Promise<void> {
  const migrating = build.run(["db", "migrate"]);
  const { code } = await migrating.exited;
  expect({ code, output: code === 0 ? "" : migrating.outputTail() }).toEqual({ code: 0, output: "" });
}
