import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  Client,
  Connection,
  type WorkflowHandle,
  type WorkflowHandleWithFirstExecutionRunId,
} from "@temporalio/client";
import { NativeConnection, Worker } from "@temporalio/worker";
import type { GpuPoolInput, GpuWorkerResult, GpuWorkerWorkflow } from "../../../src/contract/inputs.ts";
import { type WorkerPhase, workerQueries, workerSignals } from "../../../src/contract/worker-api.ts";
import { type PoolStatus, poolQueries } from "../../../src/contract/pool-api.ts";
import {
  POOL_WORKFLOW,
  poolWorkflowId,
  runpodTaskQueue,
  WORKER_WORKFLOW,
  workerWorkflowId,
} from "../../../src/contract/names.ts";
import { POD_JOB_WORKFLOW, type PodJobOrder, podJobStart, type PodJobWorkflow } from "../../../src/contract/pod-job.ts";
import { PATIENCE_MS } from "../patience.ts";
import { installQuietRuntime } from "../temporal/quiet-runtime.ts";
import {
  type ActivityName,
  type Call,
  createFakeActivities,
  dispatchActivities,
  type FakeActivities,
  type Hooks,
} from "./fake-activities.ts";
import { fakeUpkeep } from "./fake-upkeep.ts";
import { createFakeFleet, type FakeFleet, type FakeRow } from "./fake-fleet.ts";

const PROBE_MS = 60;
const JOB: PodJobOrder = {
  purpose: "spawn-test",
  settings: {},
  variables: {},
  timeoutSec: 600,
  gpuType: "NVIDIA L40S",
  priceUsdPerHour: 0.8,
};

/** One pool with its fake fleet, served to the real workflows by a real Temporal server. */
export interface Stage extends FakeFleet {
  readonly taskQueue: string;
  readonly temporal: Client;
  readonly hooks: Hooks;
  readonly calls: readonly Call[];
  /** The arguments of each call so far. */
  called(name: ActivityName): readonly unknown[][];
  startPool(input?: Partial<GpuPoolInput>): Promise<WorkflowHandleWithFirstExecutionRunId>;
  /** Starts the workflow of a row's worker by hand. */
  startWorker(id: string): Promise<WorkerHandle>;
  /** Starts a job's workflow; without an order as the janitor does, for a row that is there. */
  startJob(id: string, order?: Partial<PodJobOrder> | null): Promise<WorkflowHandle<PodJobWorkflow>>;
  /** A worker whose workflow something else started. */
  worker(id: string): WorkerHandle;
  status(): Promise<PoolStatus>;
  close(): Promise<void>;
}

export interface WorkerHandle {
  readonly handle: WorkflowHandle;
  phase(): Promise<WorkerPhase>;
  /** Waits until the worker is in this phase. */
  reaches(phase: WorkerPhase): Promise<void>;
  readonly signal: WorkflowHandle["signal"];
  result(): Promise<GpuWorkerResult>;
}

/** Reads again and again until the check does not throw. */
export async function until<T>(read: () => T | Promise<T>, check: (value: T) => void): Promise<void> {
  const giveUpAtMs = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      check(await read());
      return;
    } catch (error) {
      if (Date.now() >= giveUpAtMs) {
        throw error;
      }
    }
    await delay(PROBE_MS);
  }
}

/** A worker that has its pod and has sent its first heartbeat. */
export async function bringUp(
  stage: Stage,
  overrides: Partial<FakeRow> = {},
): Promise<{ row: FakeRow; worker: WorkerHandle }> {
  const row = stage.book(overrides);
  const worker = await stage.startWorker(row.id);
  await worker.reaches("booting");
  stage.beat(row);
  await worker.signal(workerSignals.ready);
  await worker.reaches("active");
  return { row, worker };
}

export interface FakeService {
  /** @param timings override those of the fake fleet; seconds. */
  open(timings?: Partial<FakeFleet["timings"]>): Stage;
  /** Begins to serve, where the start did not. */
  serve(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Serves workflows and fake activities on both task queues. One service stages many pools at once, since its own start
 * takes longer than most tests.
 */
export async function startFakeService(options: {
  readonly address: string;
  readonly bundle: { readonly codePath: string } | { readonly code: string };
  readonly identity: string;
  /** Nothing is served before a call of `serve`. */
  readonly late?: boolean;
}): Promise<FakeService> {
  const { address, bundle: workflowBundle, identity, late = false } = options;
  installQuietRuntime();
  const [clientConnection, connection] = await Promise.all([
    Connection.connect({ address }),
    NativeConnection.connect({ address }),
  ]);
  const fleets = new Map<string, FakeActivities>();
  const activities = { ...dispatchActivities(fleets), ...fakeUpkeep };
  const taskQueue = `q-${randomBytes(4).toString("hex")}`;
  const workers: Worker[] = [];
  let running: Promise<unknown> = Promise.resolve();
  async function serve(): Promise<void> {
    workers.push(
      await Worker.create({ connection, identity, taskQueue, workflowBundle, activities }),
      await Worker.create({ connection, identity, taskQueue: runpodTaskQueue(taskQueue), activities }),
    );
    running = Promise.all(workers.map((worker) => worker.run()));
  }
  if (!late) {
    await serve();
  }
  const temporal = new Client({ connection: clientConnection, identity });
  return {
    open: (timings = {}) => openStage(temporal, taskQueue, fleets, timings),
    serve,
    async close() {
      for (const worker of workers) {
        worker.shutdown();
      }
      await running;
      await connection.close();
      await clientConnection.close();
    },
  };
}

function workerHandle(temporal: Client, pool: string, id: string): WorkerHandle {
  const handle = temporal.workflow.getHandle<GpuWorkerWorkflow>(workerWorkflowId(pool, id));
  const phase = () => handle.query(workerQueries.phase);
  return {
    handle,
    phase,
    reaches: (wanted) =>
      until(phase, (now) => {
        if (now !== wanted) {
          throw new Error(`worker ${id} is ${now}; waited for ${wanted}`);
        }
      }),
    signal: handle.signal.bind(handle),
    result: () => handle.result(),
  };
}

function openStage(
  temporal: Client,
  taskQueue: string,
  fleets: Map<string, FakeActivities>,
  timings: Partial<FakeFleet["timings"]>,
): Stage {
  const fleet = createFakeFleet();
  Object.assign(fleet.timings, timings);
  const { pool } = fleet;
  const hooks: Hooks = {};
  const calls: Call[] = [];
  fleets.set(pool, createFakeActivities(fleet, hooks, calls));
  const started = new Set<string>();

  async function start(workflow: string, workflowId: string, args: unknown[]) {
    started.add(workflowId);
    return await temporal.workflow.start(workflow, { workflowId, taskQueue, args });
  }

  const worker = (id: string) => workerHandle(temporal, pool, id);

  return Object.assign(fleet, {
    taskQueue,
    temporal,
    hooks,
    calls,
    worker,
    called: (name: ActivityName) => calls.filter((call) => call.name === name).map(({ args }) => [...args]),
    startPool: (input: Partial<GpuPoolInput> = {}) => start(POOL_WORKFLOW, poolWorkflowId(pool), [{ pool, ...input }]),
    async startWorker(id: string) {
      await start(WORKER_WORKFLOW, workerWorkflowId(pool, id), [{ pool, id }]);
      return worker(id);
    },
    async startJob(id: string, order: Partial<PodJobOrder> | null = {}) {
      const { workflowId, args } = podJobStart(pool, id, order === null ? undefined : { ...JOB, ...order });
      await start(POD_JOB_WORKFLOW, workflowId, args);
      return temporal.workflow.getHandle<PodJobWorkflow>(workflowId);
    },
    status: () => temporal.workflow.getHandle(poolWorkflowId(pool)).query(poolQueries.status),
    async close() {
      // The pool first, so that it does not start an ended worker again.
      for (const id of [...started, ...[...fleet.rows.keys()].map((row) => workerWorkflowId(pool, row))]) {
        const handle = temporal.workflow.getHandle(id);
        await handle.terminate("its stage is closed").catch(() => undefined);
      }
      // A watch learns only from its next heartbeat that its workflow is gone.
      fleet.watchMs = 0;
    },
  });
}
