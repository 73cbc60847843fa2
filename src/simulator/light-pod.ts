import { pino } from "pino";
import { Agent, fetch } from "undici";
import { sleep } from "../gpu-worker/abort.ts";
import { connect } from "../gpu-worker/queue/connection.ts";
import { startHeartbeat } from "../gpu-worker/heartbeat.ts";
import { createOrders, type Interruption, type Orders } from "../gpu-worker/orders.ts";
import { createOutages } from "../gpu-worker/queue/outages.ts";
import { createPostgresQueue } from "../gpu-worker/queue/postgres-queue.ts";
import type { ClaimedTask, Queue } from "../gpu-worker/queue/queue.ts";
import { readSettings, type GpuWorkerSettings } from "../gpu-worker/settings.ts";
import type { LaunchPod, PodProcess, ProcessExit } from "./types.ts";

/** Shared by all light pods: a thousand of them must not open a thousand sockets. */
const CONNECTIONS = 16;
const CALL_TIMEOUT_MS = 15_000;
const UNKNOWN_VRAM = { totalMb: null, usedMb: null };

/**
 * Launches pods without processes: each runs the heartbeat of the GPU worker in this process, with a worker's token.
 * Like the GPU worker, a light pod ends when its row says so and releases its task at SIGTERM. Unlike it, it claims
 * only when `claimTask` is called and completes the task without a file. A benchmark can run a thousand of them.
 */
export function createLightPodLauncher(): LaunchPod {
  const dispatcher = new Agent({ connections: CONNECTIONS });
  const sharedFetch = ((input: string, init?: object) =>
    fetch(input, {
      ...init,
      dispatcher,
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    })) as unknown as typeof globalThis.fetch;
  return ({ env }) => startLightPod(readSettings({ ...env }), sharedFetch);
}

function startLightPod(settings: GpuWorkerSettings, sharedFetch: typeof globalThis.fetch): PodProcess {
  const logger = pino({ level: "silent" });
  const client = connect(settings, sharedFetch);
  const queue = createPostgresQueue(client, settings.workerId, createOutages(logger));
  const orders = createOrders(() => undefined);
  const works = new Set<Promise<void>>();

  let end: (exit: ProcessExit) => void = () => undefined;
  const exited = new Promise<ProcessExit>((resolve) => (end = resolve));
  const heartbeat = startHeartbeat({
    queue,
    orders,
    readVram: async () => UNKNOWN_VRAM,
    // Spreads the heartbeats of pods that started together.
    intervalMs: settings.heartbeatMs * (0.9 + Math.random() * 0.2),
    sendLogs: async () => undefined,
    logger,
  });
  const leave = async (): Promise<void> => {
    await Promise.all(works);
    heartbeat.stop();
    end({ code: orders.exitCode(), signal: null });
  };
  orders.leaving.addEventListener("abort", () => void leave(), { once: true });

  const podProcess: PodProcess = {
    pid: null,
    exited,
    async stop(graceMs) {
      orders.stop("release", "the pod received SIGTERM");
      const timer = setTimeout(podProcess.kill, graceMs);
      await exited;
      clearTimeout(timer);
    },
    kill() {
      // Set before the order: after it the pod would end with an exit code, not with the signal.
      end({ code: null, signal: "SIGKILL" });
      orders.stop("abandon", "the pod received SIGKILL");
    },
    async claimTask(taskSec) {
      const { task } = await queue.claim();
      if (task === null) {
        return null;
      }
      // A failure shows as a task without progress, which the pool has to notice.
      const done = workOn(task, { queue, client, orders, taskMs: taskSec * 1000, reportMs: settings.heartbeatMs })
        .catch(() => undefined)
        .finally(() => works.delete(done));
      works.add(done);
      return task.taskId;
    },
  };
  return podProcess;
}

interface LightWork {
  readonly queue: Queue;
  readonly client: ReturnType<typeof connect>;
  readonly orders: Orders;
  readonly taskMs: number;
  readonly reportMs: number;
}

async function workOn(task: ClaimedTask, { queue, client, orders, taskMs, reportMs }: LightWork): Promise<void> {
  const beganMs = Date.now();
  for (let doneMs = 0; doneMs < taskMs && !orders.stopping.aborted; doneMs = Date.now() - beganMs) {
    await queue.reportProgress(task, doneMs / taskMs, "at work");
    await sleep(Math.min(reportMs, taskMs - doneMs), orders.stopping);
  }
  if (!orders.stopping.aborted) {
    const lease = { p_task_id: task.taskId, p_lease_token: task.leaseToken };
    await client.rpc("finish_task", { ...lease, p_storage_path: null, p_output_location: null, p_result: {} });
    return;
  }
  const { kind, message } = orders.stopping.reason as Interruption;
  if (kind === "release") {
    await queue.release(task, message);
  }
}
