import { pino } from "pino";
import { Agent, fetch } from "undici";
import { sleep } from "../gpu-worker/abort.ts";
import { connect } from "../gpu-worker/connection.ts";
import { startHeartbeat } from "../gpu-worker/heartbeat.ts";
import { createOrders, type Interruption } from "../gpu-worker/orders.ts";
import { createOutages } from "../gpu-worker/outages.ts";
import { type ClaimedTask, createQueue } from "../gpu-worker/queue.ts";
import { readSettings, type GpuWorkerSettings } from "../gpu-worker/settings.ts";
import type { LaunchPod, PodProcess, ProcessExit } from "./types.ts";

/** For all light pods together: a thousand of them must not open a thousand sockets. */
const CONNECTIONS = 16;
const CALL_TIMEOUT_MS = 15_000;
const UNKNOWN_VRAM = { totalMb: null, usedMb: null };

/**
 * Launches pods that are no processes: each is a heartbeat of the GPU worker, under the worker's own token, within
 * this process. It leaves when its row says so and gives its task back at SIGTERM, as the GPU worker does, but claims
 * one task per `claimTask` only and completes it without a file. A thousand of them fit a benchmark.
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
  const queue = createQueue(client, settings.workerId, createOutages(logger));
  const orders = createOrders(() => undefined);
  const works = new Set<Promise<void>>();

  let end: (exit: ProcessExit) => void = () => undefined;
  const exited = new Promise<ProcessExit>((resolve) => (end = resolve));
  const heartbeat = startHeartbeat({
    queue,
    orders,
    readVram: async () => UNKNOWN_VRAM,
    // Pods that start together drift apart.
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

  async function work(task: ClaimedTask, taskMs: number): Promise<void> {
    const beganMs = Date.now();
    for (let doneMs = 0; doneMs < taskMs && !orders.stopping.aborted; doneMs = Date.now() - beganMs) {
      await queue.reportProgress(task, doneMs / taskMs, "at work");
      await sleep(Math.min(settings.heartbeatMs, taskMs - doneMs), orders.stopping);
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
      // First, so that nothing that follows counts: a killed process writes no more.
      end({ code: null, signal: "SIGKILL" });
      orders.stop("abandon", "the pod received SIGKILL");
    },
    async claimTask(taskSec) {
      const { task } = await queue.claim();
      if (task === null) {
        return null;
      }
      // What fails here is what the pool has to notice: a task without progress.
      const done = work(task, taskSec * 1000)
        .catch(() => undefined)
        .finally(() => works.delete(done));
      works.add(done);
      return task.taskId;
    },
  };
  return podProcess;
}
