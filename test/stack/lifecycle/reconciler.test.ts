import { tmpdir } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolWorkflowId, workerWorkflowId } from "../../../src/contract/names.ts";
import { poolSignals } from "../../../src/contract/pool-api.ts";
import {
  JANITOR_WORKFLOW,
  type JanitorInput,
  type JanitorResult,
  notificationsWorkflowId,
} from "../../../src/contract/upkeep.ts";
import { workerQueries } from "../../../src/contract/worker-api.ts";
import { createLightPodLauncher } from "../../../src/simulator/light-pod.ts";
import { runClient } from "../../kit/client.ts";
import { createPodByHand, expectNothingLeft, livingWorkers, workerStates } from "../../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

const SETTLE_SEC = 1;

describe("pods, rows and workflows that do not belong together", () => {
  let stack: TestStack;
  let rounds = 0;
  beforeAll(async () => {
    stack = await startTestStack({
      env: { POD_SETTLE_SEC: String(SETTLE_SEC), POD_LIST_LAG_SEC: "0", JANITOR_MAX_DELETIONS: "3" },
      launch: createLightPodLauncher(),
    });
    await stack.serve();
    await stack.startPool();
  });
  afterAll(async () => {
    const { taskQueue } = stack.config.temporal;
    await stack.temporal.workflow
      .getHandle(notificationsWorkflowId(taskQueue))
      .terminate()
      .catch(() => undefined);
    await stack.temporal.workflow
      .getHandle(poolWorkflowId(stack.pool))
      .terminate()
      .catch(() => undefined);
    await stack?.close();
  });

  const pool = () => stack.temporal.workflow.getHandle(poolWorkflowId(stack.pool));
  const hold = async (target: number) => await pool().signal(poolSignals.scale, { target });
  const pass = async (dryRun = false): Promise<JanitorResult> => {
    const { taskQueue } = stack.config.temporal;
    const args: [JanitorInput] = [{ taskQueue, dryRun }];
    const workflowId = `${taskQueue}-janitor-${(rounds += 1)}`;
    return await stack.temporal.workflow.execute(JANITOR_WORKFLOW, { workflowId, taskQueue, args });
  };
  const passes = async () => {
    const { repairs } = await pass();
    return repairs["workers"] ?? "";
  };
  const ledgerOf = (id: string | null) => stack.simulator.ledger().pods.find((pod) => pod.id === id);
  const active = async () => (await livingWorkers(stack)).filter(({ status }) => status === "active");
  const oneActive = async () => {
    await hold(1);
    await expect.poll(async () => (await active())[0]?.pod_id ?? null).not.toBeNull();
    return (await active())[0]!;
  };
  const journalOf = async (worker: string) =>
    (await stack.rows<{ kind: string }>("select kind from pool_events where worker_id = $1 order by id", [worker])).map(
      ({ kind }) => kind,
    );
  const workflowOf = (id: string) => stack.temporal.workflow.getHandle(workerWorkflowId(stack.pool, id));

  it("invariant 1: the pod of a burned name that lists show late is deleted, and its cost is booked", async () => {
    stack.simulator.configure({ startingMs: 60_000 });
    stack.simulator.addFault({ on: "create", kind: "error", created: true, listLagMs: 6 * SETTLE_SEC * 1000 });
    await hold(1);
    const [late] = await expect
      .poll(() => stack.simulator.ledger().pods)
      .not.toEqual([])
      .then(() => stack.simulator.ledger().pods);
    const row = async () => (await workerStates(stack)).find(({ id }) => id === late!.name);
    await expect.poll(() => ledgerOf(late!.id)).toMatchObject({ live: false, endCause: "deleted" });
    await expect.poll(row).toMatchObject({ status: "error", post_state: "burned", pod_id: late!.id, gone: true });
    // It had ended before. Its row was open again, so that it counted in the caps until the pod was seen gone.
    expect(await journalOf(late!.name)).toEqual([
      "pod.asked",
      "pod.name_burned",
      "worker.fail",
      "worker.gone",
      "worker.orphan",
      "worker.gone",
    ]);
    const [booked] = await stack.rows<{ cost: number; after: boolean }>(
      "select cost_usd::float8 as cost, gone_at > $2 as after from workers where id = $1",
      [late!.name, ledgerOf(late!.id)!.endedAt],
    );
    expect(booked!.after).toBe(true);
    expect(booked!.cost).toBeGreaterThan(0);
    stack.simulator.configure({ startingMs: 50 });
    await hold(0);
    await expectNothingLeft(stack);
  });

  it("an active worker whose pod no list shows learns it from the first list that does, and counts its cost", async () => {
    stack.simulator.addFault({ on: "create", kind: "error", created: true, listLagMs: 4 * SETTLE_SEC * 1000 });
    await hold(1);
    await expect.poll(async () => (await active())[0]?.id).toBeDefined();
    const { id } = (await active())[0]!;
    const spent = async () =>
      (
        await stack.rows<{ usd: number | null }>("select today_usd::float8 as usd from account_spend($1)", [stack.pool])
      )[0]?.usd;
    const before = (await spent()) ?? 0;
    await expect.poll(spent).toBeGreaterThan(before);
    const [pod] = stack.simulator.ledger().pods.filter(({ live }) => live);
    await expect.poll(async () => (await active())[0]).toMatchObject({ id, pod_id: pod!.id });
    await hold(0);
    await expectNothingLeft(stack);
    const [booked] = await stack.rows<{ cost: number }>("select cost_usd::float8 as cost from workers where id = $1", [
      id,
    ]);
    expect(booked!.cost).toBeGreaterThan(0);
    expect((await journalOf(id)).slice(0, 3)).toEqual(["pod.asked", "worker.ready", "pod.adopted"]);
  });

  it("a worker whose pod may live cannot be deleted; deleted all the same, workflow and pod end and are booked", async () => {
    const { id, pod_id } = await oneActive();
    await expect(stack.rows("delete from workers where id = $1", [id])).rejects.toMatchObject({
      code: "PT409",
      message: `worker ${id} cannot be deleted: its pod may still run and cost money`,
      hint: expect.stringContaining(`gpu-pool worker terminate ${id} --pool ${stack.pool}`),
    });
    await expect(stack.rows("truncate workers cascade")).rejects.toMatchObject({ code: "PT409" });
    await stack.rows("alter table workers disable trigger workers_keep");
    await stack.rows("delete from workers where id = $1", [id]);
    await stack.rows("alter table workers enable trigger workers_keep");
    await hold(0);
    await expect
      .poll(async () => (await passes(), ledgerOf(pod_id)))
      .toMatchObject({ live: false, endCause: "deleted" });
    await expect.poll(async () => (await workflowOf(id).describe()).status.name).toBe("COMPLETED");
    await expectNothingLeft(stack);
    expect((await workerStates(stack)).find((row) => row.id === id)).toMatchObject({ status: "error", pod_id });
  });

  it("a worker's workflow that was terminated is started again, and ends its worker", async () => {
    const { id, pod_id } = await oneActive();
    // A signal of the pool would start it again.
    await expect.poll(() => workflowOf(id).query(workerQueries.phase)).toBe("active");
    await workflowOf(id).terminate("by mistake");
    const dry = await pass(true);
    expect(dry.workers?.findings).toContainEqual(
      expect.objectContaining({ worker: id, verdict: "start", workflow: "terminated", row: "active" }),
    );
    expect((await workflowOf(id).describe()).status.name).toBe("TERMINATED");
    const janitor = async (...args: string[]) =>
      await runClient(["janitor", ...args], { cwd: tmpdir(), env: stack.env });
    const shown = await janitor("--dry-run");
    expect(shown).toMatchObject({ exitCode: 0, stderr: "" });
    expect(shown.stdout).toMatch(new RegExp(`${pod_id} +${id} +active +terminated +start +its workflow is terminated`));
    expect(shown.stdout).toContain("nothing was changed");
    expect((await workflowOf(id).describe()).status.name).toBe("TERMINATED");
    const round = JSON.parse((await janitor("--json")).stdout) as JanitorResult;
    expect(round.workers?.done).toEqual([expect.stringContaining(`${id}: its workflow was started`)]);
    expect((await workflowOf(id).describe()).status.name).toBe("RUNNING");
    // Without the provider's list nothing follows about pods, and the exit code says so.
    stack.simulator.addFault({ on: "list", kind: "error", times: 20 });
    const unknown = await janitor("--dry-run");
    stack.simulator.clearFaults();
    expect(unknown).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("not known: the provider's pods") });
    await hold(0);
    await expectNothingLeft(stack);
  });

  it("a row that was booked too late for its pool's first look gets a workflow", async () => {
    await pool().signal(poolSignals.pause);
    const mode = async () => (await stack.rows<{ mode: string }>("select mode from pools"))[0]?.mode;
    await expect.poll(mode).toBe("paused");
    const id = `${stack.pool}-0a0b0c0d`;
    await stack.rows("insert into workers (id, pool) values ($1, $2)", [id, stack.pool]);
    expect(await passes()).toContain(`${id}: its workflow was started`);
    await expect.poll(async () => (await active()).map((row) => row.id)).toEqual([id]);
    await pool().signal(poolSignals.resume);
    await expectNothingLeft(stack);
  });

  it("invariant 14: foreign pods are reported and never touched; ours end on a second sighting, at most so many", async () => {
    const mark = stack.deployment;
    const foreign = [
      await createPodByHand(stack, "another-0a1b2c3d", mark),
      await createPodByHand(stack, `${stack.pool}-11111111`, "another-deployment"),
    ];
    const ours = await Promise.all(
      ["2", "3", "4", "5"].map((digit) => createPodByHand(stack, `${stack.pool}-${digit.repeat(8)}`, mark)),
    );
    const verdicts = async () =>
      Object.fromEntries(((await pass()).workers?.findings ?? []).map(({ pod, verdict }) => [pod, verdict]));
    const first = await verdicts();
    expect(first).toMatchObject({ [foreign[0]!]: "not_ours", [foreign[1]!]: "not_ours", [ours[0]!]: "wait" });
    expect(stack.simulator.ledger().pods.filter(({ live }) => live)).toHaveLength(6);
    await expect.poll(async () => Object.values(await verdicts())).toContain("capped");
    const open = async () =>
      (await stack.rows<{ kind: string }>("select kind from alerts where closed_at is null")).map(({ kind }) => kind);
    expect(await open()).toContain("deletion_cap_reached");
    // The next pass counts those of this one.
    expect(Object.values(await verdicts())).toContain("capped");
    await stack.rows("update janitor_sightings set acted_at = acted_at - interval '5 minutes'");
    await expect
      .poll(
        async () => (
          await passes(),
          stack.simulator
            .ledger()
            .pods.filter(({ live }) => live)
            .map(({ id }) => id)
            .sort()
        ),
      )
      .toEqual([...foreign].sort());
    await expectNothingLeft(stack, foreign);
    await pass();
    expect((await open()).filter((kind) => kind === "deletion_cap_reached")).toEqual([]);
    const touched = stack.simulator
      .requests()
      .filter(({ method, path }) => method !== "GET" && foreign.some((id) => path.includes(id)));
    expect(touched).toEqual([]);
  });

  it("a pool that was terminated comes back paused, a lost or silent one as it was, one that was shut down not at all", async () => {
    const statusName = async () => (await pool().describe()).status.name;
    const mode = async () =>
      (await stack.rows<{ mode: string; should_run: boolean }>("select mode, should_run from pools"))[0];
    const alerts = async () =>
      (await stack.rows<{ kind: string }>("select kind from alerts where closed_at is null and kind like 'pool%'")).map(
        ({ kind }) => kind,
      );
    expect(await mode()).toEqual({ mode: "normal", should_run: true });
    await pool().terminate("by an operator");
    expect((await pass(true)).pools).toMatchObject([{ pool: stack.pool, verdict: "bring_back_paused" }]);
    expect(await statusName()).toBe("TERMINATED");
    await pass();
    expect(await statusName()).toBe("RUNNING");
    expect(await mode()).toEqual({ mode: "paused", should_run: true });
    await pass();
    expect(await alerts()).toEqual(["pool_brought_back"]);
    await pool().signal(poolSignals.resume);
    await expect.poll(mode).toMatchObject({ mode: "normal" });
    await expect.poll(async () => (await pass(), await alerts())).toEqual([]);

    const { workflowService } = stack.temporal;
    await workflowService.deleteWorkflowExecution({
      namespace: "default",
      workflowExecution: { workflowId: poolWorkflowId(stack.pool) },
    });
    await expect.poll(() => statusName().catch((error: Error) => error.name)).toBe("WorkflowNotFoundError");
    expect((await pass()).pools).toMatchObject([{ verdict: "bring_back", workflow: "none" }]);
    expect(await statusName()).toBe("RUNNING");
    expect(await mode()).toMatchObject({ mode: "normal" });

    // Its watch cannot read the pool any more, although its workflow is open.
    await stack.rows("alter function pool_observe rename to pool_observe_away");
    const { runId } = await pool().describe();
    await stack.rows("update pools set observed_at = now() - interval '1 hour'");
    expect((await pass()).pools).toMatchObject([{ verdict: "wait" }]);
    await stack.rows(
      "update janitor_sightings set first_seen_at = now() - interval '1 hour' where subject like 'pool/%'",
    );
    expect((await pass()).pools).toMatchObject([{ verdict: "restart" }]);
    expect(await alerts()).toContain("pool_silent");
    expect((await pool().describe()).runId).not.toBe(runId);
    await stack.rows("alter function pool_observe_away rename to pool_observe");
    await expect.poll(async () => (await pass(), await alerts())).toEqual([]);

    await stack.rows(
      "select open_alert('breaker_open', $1, $1, 'open'), open_alert('queue_waiting', $1, $1, 'waits')",
      [stack.pool],
    );
    await pool().executeUpdate("shutdown");
    await expect.poll(statusName).toBe("COMPLETED");
    expect(await mode()).toMatchObject({ should_run: false });
    expect((await pass()).pools).toMatchObject([{ verdict: "kept" }]);
    expect(await statusName()).toBe("COMPLETED");
    const open = () =>
      stack.rows("select kind from alerts where closed_at is null and kind like any (array['%waiting', 'breaker%'])");
    expect(await open()).toEqual([{ kind: "breaker_open" }]);
  });
});
