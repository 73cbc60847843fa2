import type { WorkflowHandle } from "@temporalio/client";
import { created, type FakeRow, lost, lostWithPod, refused } from "../workflow/fake-fleet.ts";
import { bringUp, type Stage } from "../workflow/fake-service.ts";
import { drain, seen, signal, spawn } from "./plans.ts";
import { playFolded } from "./stories-signals.ts";
import { JOB_STORIES } from "./stories-jobs.ts";
import { playJanitor, playNotifications } from "./stories-upkeep.ts";
import { poolSignals, poolUpdates } from "../../../src/contract/pool-api.ts";
import { workerSignals } from "../../../src/contract/worker-api.ts";

interface Story {
  /** File name: <workflow>-<story>. */
  readonly name: string;
  readonly timings?: Partial<Stage["timings"]>;
  /** Plays it on a stage. @returns the runs whose histories are kept. */
  readonly play: (stage: Stage) => Promise<readonly WorkflowHandle[]>;
}

/** One booking of two workers, their work, and the way back to none, while operators send messages. */
async function mainJob(stage: Stage, input: { maxHistoryLength?: number } = {}) {
  stage.plans.push(stage.planOf([spawn(2)]));
  const pool = await stage.startPool(input);
  await seen("two workers", () => stage.rows.size === 2);
  const rows = [...stage.rows.values()];
  for (const row of rows) {
    await stage.worker(row.id).reaches("booting");
    stage.beat(row);
  }
  await pool.signal(poolSignals.scale.name, { target: "many" });
  const current = stage.temporal.workflow.getHandle(pool.workflowId);
  await current.executeUpdate(poolUpdates.pause);
  await current.signal(poolSignals.resume);
  await current.executeUpdate(poolUpdates.scale, { args: [{ target: 2, for: 60 }] });
  stage.plans.push(stage.planOf(rows.map((row) => signal(row, { name: "ready" }))));
  for (const row of rows) {
    await stage.worker(row.id).reaches("active");
    row.busy = true;
  }
  const [first, second] = rows as [FakeRow, FakeRow];
  second.busy = false;
  stage.plans.push(
    stage.planOf([
      drain(second),
      signal(first, {
        name: "fail",
        verdict: { evidence: "progress", leaseCause: "stuck", reason: "no progress", heartbeatMs: null },
      }),
    ]),
  );
  for (const row of rows) {
    await stage.worker(row.id).result();
  }
  stage.plans.push(stage.planOf([]));
  await seen("an empty fleet", async () => (await stage.status()).snapshot?.failing === 0);
  return { pool, rows };
}

export const STORIES: readonly Story[] = [
  {
    name: "gpuPool-main-job",
    play: async (stage) => [(await mainJob(stage)).pool],
  },
  {
    name: "gpuPool-continue-as-new",
    async play(stage) {
      stage.watchMs = 50;
      const { pool } = await mainJob(stage, { maxHistoryLength: 60 });
      const runOf = (runId: string) => stage.temporal.workflow.getHandle(pool.workflowId, runId);
      const first = runOf(pool.firstExecutionRunId);
      const { events } = await first.fetchHistory();
      const next = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? "";
      return [first, runOf(next)];
    },
  },
  {
    name: "gpuPool-restart",
    async play(stage) {
      const { row } = await bringUp(stage);
      const orphan = stage.book({ status: "active", postState: "posted", podId: "pod-1", readyMs: Date.now() });
      const pool = await stage.startPool();
      await stage.worker(orphan.id).reaches("active");
      await stage.worker(row.id).handle.terminate("lost");
      stage.plans.push(stage.planOf([drain(row)]));
      await stage.worker(row.id).reaches("active");
      await seen("the performed plan", async () => (await stage.status()).phase === "watching");
      return [pool];
    },
  },
  {
    name: "gpuPool-shutdown",
    async play(stage) {
      const { row } = await bringUp(stage);
      const pool = await stage.startPool();
      await pool.cancel();
      await seen("the shutdown", () => stage.intent.mode === "closing");
      stage.plans.push(stage.planOf([drain(row)]));
      await pool.result().catch(() => undefined);
      return [pool];
    },
  },
  {
    name: "gpuPool-control",
    async play(stage) {
      const [drained, ended] = [await bringUp(stage), await bringUp(stage)];
      ended.row.busy = true;
      stage.plans.push(stage.planOf([{ kind: "dance" }]));
      const pool = await stage.startPool();
      await pool.executeUpdate(poolUpdates.reconfigure, { args: [{ maxActiveGpus: 2 }] });
      await pool.executeUpdate(poolUpdates.reconfigure, { args: [{ maxActiveGpu: 2 }] }).catch(() => undefined);
      await pool.executeUpdate(poolUpdates.drainWorker, { args: [{ worker: drained.row.id }] });
      await pool.executeUpdate(poolUpdates.terminateWorker, { args: [{ worker: ended.row.id, reason: "old driver" }] });
      await drained.worker.result();
      await ended.worker.result();
      await pool.executeUpdate(poolUpdates.shutdown);
      await pool.result();
      return [pool];
    },
  },
  {
    name: "gpuPool-unknown-field",
    async play(stage) {
      const pool = await stage.startPool();
      await pool.signal(poolSignals.scale.name, { target: 3, forSec: 60 });
      await pool.signal(poolSignals.pause);
      await pool.signal(poolSignals.scale.name, { target: 3, forSec: 60 });
      await seen("the pause", () => stage.intent.mode === "paused");
      await seen("both refusals", () => stage.ignored.length === 2);
      await pool.executeUpdate(poolUpdates.scale, { args: [{ target: 2, for: 60 }] });
      return [pool];
    },
  },
  {
    name: "gpuPool-bare-field",
    async play(stage) {
      const pool = await stage.startPool();
      await pool.signal(poolSignals.pause.name, { for: 600 });
      await pool.signal(poolSignals.drain);
      await seen("the drain", () => stage.intent.mode === "draining");
      await seen("the refusal", () => stage.ignored.length === 1);
      return [pool];
    },
  },
  { name: "gpuPool-folded", play: playFolded },
  {
    name: "gpuPool-signal-many",
    async play(stage) {
      const unknown = Array.from({ length: 51 }, (_, n) => ({ id: `${stage.pool}-${n}` }) as FakeRow);
      stage.plans.push(stage.planOf(unknown.map(drain)), stage.planOf([]));
      const pool = await stage.startPool();
      await seen("the second watch", async () => (await stage.status()).watches === 2);
      return [pool];
    },
  },
  {
    name: "gpuPool-spawn-many",
    async play(stage) {
      stage.plans.push(stage.planOf([spawn(45)]), stage.planOf([]));
      const pool = await stage.startPool();
      await seen("the second watch", async () => (await stage.status()).watches === 2);
      return [pool];
    },
  },
  {
    name: "gpuPool-round",
    async play(stage) {
      stage.plans.push(stage.planOf([spawn(2)]));
      const pool = await stage.startPool({ rounds: 1 });
      await pool.result();
      return [pool];
    },
  },
  {
    name: "gpuWorker-booked",
    async play(stage) {
      stage.plans.push(stage.planOf([spawn(1)]));
      await stage.startPool();
      await seen("a worker", () => stage.rows.size === 1);
      const [row] = [...stage.rows.values()] as [FakeRow];
      const worker = stage.worker(row.id);
      await worker.reaches("booting");
      stage.beat(row);
      await worker.signal(workerSignals.ready);
      await worker.reaches("active");
      row.busy = true;
      await worker.signal(workerSignals.drain, { reason: "the budget is spent", onlyIdle: false, untilTaskEnds: true });
      await worker.reaches("draining");
      row.busy = false;
      await worker.signal(workerSignals.released);
      await worker.result();
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-deadline-after-drain",
    async play(stage) {
      const { row, worker } = await bringUp(stage);
      row.busy = true;
      const reason = "the budget is spent";
      await worker.signal(workerSignals.drain, { reason, onlyIdle: false, untilTaskEnds: true });
      await worker.reaches("draining");
      await worker.signal(workerSignals.drain, { reason: "draining", onlyIdle: false });
      row.busy = false;
      await worker.signal(workerSignals.released);
      await worker.result();
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-drain",
    async play(stage) {
      const { worker } = await bringUp(stage);
      await worker.signal(workerSignals.drain, { reason: "nothing queued", onlyIdle: true });
      await worker.result();
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-refused-drain",
    async play(stage) {
      const { row, worker } = await bringUp(stage);
      row.busy = true;
      await worker.signal(workerSignals.drain, { reason: "nothing queued", onlyIdle: true });
      await seen("the refusal", () => stage.called("drainWorker").length === 1);
      await worker.signal(workerSignals.drain, { reason: "an operator", onlyIdle: false });
      await worker.reaches("draining");
      await worker.signal(workerSignals.fail, { leaseCause: "worker_died", reason: "silent", heartbeatMs: 1 });
      await seen("the second refusal", () => stage.called("failWorker").length === 1);
      row.busy = false;
      await worker.signal(workerSignals.released);
      await worker.result();
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-graceful-deadline",
    timings: { gracefulShutdownTimeoutSec: 1 },
    async play(stage) {
      const { row, worker } = await bringUp(stage);
      row.busy = true;
      await worker.signal(workerSignals.drain, { reason: "an operator", onlyIdle: false });
      await worker.result();
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-fail",
    async play(stage) {
      const { row, worker } = await bringUp(stage);
      await worker.signal(workerSignals.fail, {
        leaseCause: "worker_died",
        reason: "silent",
        heartbeatMs: row.heartbeatMs,
      });
      await worker.result();
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-terminate",
    async play(stage) {
      const { row, worker } = await bringUp(stage);
      row.busy = true;
      await worker.signal(workerSignals.terminate);
      await worker.result();
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-lifetime",
    timings: { workerMaxLifetimeSec: 2 },
    async play(stage) {
      const { worker } = await bringUp(stage);
      await worker.result();
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-cancel",
    async play(stage) {
      const { worker } = await bringUp(stage);
      await worker.handle.cancel();
      await worker.result().catch(() => undefined);
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-active",
    async play(stage) {
      const { worker } = await bringUp(stage);
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-adopt",
    async play(stage) {
      stage.createAnswers.push(lostWithPod);
      const { worker } = await bringUp(stage);
      await worker.signal(workerSignals.drain, { reason: "nothing queued", onlyIdle: true });
      await worker.result();
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-burn",
    timings: { podSettleSec: 2 },
    async play(stage) {
      stage.createAnswers.push(lost);
      const worker = await stage.startWorker(stage.book().id);
      await worker.result();
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-no-capacity",
    async play(stage) {
      stage.createAnswers.push(refused("capacity", true), created);
      const worker = await stage.startWorker(stage.book().id);
      await worker.reaches("booting");
      await worker.signal(workerSignals.terminate);
      await worker.result();
      return [worker.handle];
    },
  },
  {
    name: "gpuWorker-spawn-deadline",
    timings: { spawningTimeoutSec: 1 },
    async play(stage) {
      const row = stage.book();
      stage.hooks.checkBoot = () => {
        if (row.bootStage !== "running") {
          Object.assign(row, { bootStage: "running", bootStageMs: Date.now() });
        }
      };
      const worker = await stage.startWorker(row.id);
      await worker.result();
      return [worker.handle];
    },
  },
  ...JOB_STORIES,
  { name: "notifications-continue-as-new", play: playNotifications },
  { name: "janitor-rounds", play: playJanitor },
];
