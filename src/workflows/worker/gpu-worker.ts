import {
  CancellationScope,
  CancelledFailure,
  condition,
  patched,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from "@temporalio/workflow";
import type { Booking, GpuWorkerInput, GpuWorkerResult, WorkerRow, WorkerTimings } from "../../contract/inputs.ts";
import { type DrainOrder, type WorkerPhase, workerQueries, workerSignals } from "../../contract/worker-api.ts";
import { POD_ID, WORKER_PHASE } from "../../contract/search-attributes.ts";
import { parseDrainOrder, parseTerminateOrder, parseVerdict } from "./parse-orders.ts";
import { acquirePod } from "./acquire-pod.ts";
import { buryPod } from "./bury-pod.ts";
import { checkBoot, type Order, workerStore } from "./worker-life.ts";

/** One worker from its reservation to its burial. It begins by reading its row: an existing pod is no special mode. */
export async function gpuWorker({ pool, id, booked }: GpuWorkerInput): Promise<GpuWorkerResult> {
  const store = workerStore();
  let phase: WorkerPhase = "loading";
  let order: Order | null = null;
  let ready = false;
  let released = false;
  /** Its task may take as long as it makes progress. */
  let drainsWithoutDeadline = false;
  /** Its row as the order left it that ended it. */
  let lastRow: WorkerRow | null = null;

  setHandler(workerQueries.phase, () => phase);
  setHandler(workerSignals.ready, () => void (ready = true));
  setHandler(workerSignals.released, () => void (released = true));
  setHandler(workerSignals.drain, (payload?: unknown) => give({ kind: "drain", order: parseDrainOrder(payload) }));
  setHandler(workerSignals.fail, (payload?: unknown) => give({ kind: "fail", verdict: parseVerdict(payload) }));
  setHandler(workerSignals.terminate, (payload?: unknown) =>
    give({ kind: "terminate", ...parseTerminateOrder(payload) }),
  );

  let cancelled = false;
  CancellationScope.current().cancelRequested.catch(() => {
    cancelled = true;
    give({ kind: "drain", order: { reason: "its workflow was cancelled", onlyIdle: false } });
  });
  const result = await CancellationScope.nonCancellable(live);
  if (cancelled) {
    throw new CancelledFailure(`worker ${id} was drained and its pod is gone`);
  }
  return result;

  /** The stronger order wins: a drain never replaces an end that was already asked for. */
  function give(next: Order): void {
    if (order === null || order.kind === "drain") {
      order = next;
    }
  }

  function takeOrder(): Order | null {
    const taken = order;
    order = null;
    return taken;
  }

  function show(next: WorkerPhase, podId?: string): void {
    phase = next;
    setCurrentDetails(`### Worker ${id} of pool ${pool}\n\n**${next}**${podId === undefined ? "" : `, pod ${podId}`}`);
  }

  function enter(next: WorkerPhase, podId?: string): void {
    show(next, podId);
    const pod = podId === undefined ? [] : [{ key: POD_ID, value: podId }];
    upsertSearchAttributes([{ key: WORKER_PHASE, value: next }, ...pod]);
  }

  async function live(): Promise<GpuWorkerResult> {
    const { row, timings } = booked === undefined ? await store.loadWorker(id) : asBooked(id, booked);
    if (row === null) {
      return { id, status: "unknown", reason: "no such row" };
    }
    let { status, podId } = row;
    if (status === "spawning" || (status === "active" && row.postState === "posting")) {
      ({ status, podId } = await spawn(row, timings));
    }
    if (status === "active") {
      enter("active", podId ?? undefined);
      status = await serve(row, timings);
    }
    if (status === "terminating") {
      status = await finishTask(timings);
    }
    // A pod whose id came while the task ended must be found by it.
    const known = lastRow?.busy === true && lastRow.podId === null ? null : lastRow;
    const reason = await bury(timings, known);
    return { id, status: status === "error" ? "error" : "terminated", reason };
  }

  async function spawn(row: WorkerRow, timings: WorkerTimings): Promise<Pick<WorkerRow, "status" | "podId">> {
    show("creating");
    const acquired = await acquirePod({ pool, row, timings, hasOrder: () => order !== null });
    if (acquired.status !== "spawning") {
      return acquired;
    }
    show("booting", acquired.podId ?? undefined);
    return { status: await boot(acquired.podId, timings), podId: acquired.podId };
  }

  /** Until the first heartbeat, an order, or the spawn deadline, which counts from the last boot stage. */
  async function boot(podId: string | null, timings: WorkerTimings): Promise<WorkerRow["status"]> {
    let leftMs = timings.spawningTimeoutSec * 1000;
    for (;;) {
      const woken = await condition(() => ready || order !== null, leftMs, { summary: "spawn deadline" });
      const given = takeOrder();
      if (given !== null) {
        const ended = await carryOut(given);
        if (ended !== null) {
          return ended;
        }
        continue;
      }
      if (woken) {
        return "active";
      }
      // A fired timer is a question: this process may have been away while the pod booted.
      if (podId !== null) {
        await checkBoot(id, podId);
      }
      const { row } = await store.loadWorker(id);
      if (row === null || row.status !== "spawning") {
        return row?.status ?? "error";
      }
      leftMs = row.bootStageMs + timings.spawningTimeoutSec * 1000 - row.nowMs;
      if (leftMs <= 0) {
        const reason = `no heartbeat ${timings.spawningTimeoutSec} s after boot stage "${row.bootStage}"`;
        const { outcome, row: failed = null } = await store.failWorker(id, "worker_died", reason, {
          onlyIfSpawning: true,
        });
        lastRow = failed;
        return outcome === "refused_ready" ? "active" : "error";
      }
    }
  }

  async function serve(row: WorkerRow, timings: WorkerTimings): Promise<WorkerRow["status"]> {
    const endsAtMs = Date.now() + row.createdMs + timings.workerMaxLifetimeSec * 1000 - row.nowMs;
    for (;;) {
      await condition(() => order !== null, Math.max(1, endsAtMs - Date.now()), { summary: "maximum lifetime" });
      const ended = await carryOut(takeOrder() ?? { kind: "drain", order: rotation(timings) });
      if (ended !== null) {
        return ended;
      }
    }
  }

  /** @returns the worker's new status, or null when its row refused the order. */
  async function carryOut(given: Order): Promise<WorkerRow["status"] | null> {
    if (given.kind === "fail") {
      const { leaseCause, reason, ...ground } = given.verdict;
      const { outcome, row = null } = await store.failWorker(id, leaseCause, reason, ground);
      lastRow = row;
      return outcome === "refused_recovered" ? null : "error";
    }
    const drain = given.kind === "drain" ? given.order : { reason: given.reason, onlyIdle: false };
    const { outcome, busy, row = null } = await store.drainWorker(id, drain);
    lastRow = row;
    drainsWithoutDeadline = row?.drainsWithoutDeadline ?? drain.untilTaskEnds === true;
    if (outcome === "refused_busy") {
      return null;
    }
    if (given.kind === "terminate" && busy) {
      await store.expelWorker(id, given.reason);
    }
    released ||= !busy || given.kind === "terminate";
    return outcome === "not_living" ? "error" : "terminating";
  }

  /** A drained worker has this long to finish its task; then the task goes back to the queue. */
  async function finishTask(timings: WorkerTimings): Promise<WorkerRow["status"]> {
    if (released) {
      return "terminating";
    }
    enter("draining");
    const row = lastRow ?? (await store.loadWorker(id)).row;
    drainsWithoutDeadline = row?.drainsWithoutDeadline ?? drainsWithoutDeadline;
    const since = row === null ? 0 : row.nowMs - (row.terminatingMs ?? row.nowMs);
    let endsAtMs = Date.now() + timings.gracefulShutdownTimeoutSec * 1000 - since;
    for (;;) {
      const leftMs = endsAtMs - Date.now();
      if (row?.busy === true && !released && drainsWithoutDeadline) {
        await condition(() => released || order !== null);
      } else if (row?.busy === true && !released && leftMs > 0) {
        await condition(() => released || isEnd(order), leftMs, { summary: "graceful shutdown deadline" });
      }
      const given = takeOrder();
      if (drainsWithoutDeadline && given?.kind === "drain") {
        if (!patched("hurried-in-its-row")) {
          drainsWithoutDeadline = given.order.untilTaskEnds === true;
        } else if ((await carryOut(given)) === "error") {
          return "error";
        }
        endsAtMs = Date.now() + timings.gracefulShutdownTimeoutSec * 1000;
        continue;
      }
      if (given?.kind === "fail") {
        const ended = await carryOut(given);
        if (ended !== null) {
          return ended;
        }
        continue;
      }
      if (!released) {
        await store.expelWorker(
          id,
          given?.kind === "terminate"
            ? given.reason
            : `still busy ${timings.gracefulShutdownTimeoutSec} s after the drain`,
        );
      }
      return "terminating";
    }
  }

  async function bury(timings: WorkerTimings, known: WorkerRow | null): Promise<string | null> {
    enter("burying");
    const row = await buryPod(id, timings, known);
    show("gone");
    return row?.statusReason ?? null;
  }
}

/** A row as reserve_workers writes it. */
function asBooked(id: string, { atMs, timings }: Booking): { row: WorkerRow; timings: WorkerTimings } {
  const row: WorkerRow = {
    nowMs: atMs,
    id,
    status: "spawning",
    podId: null,
    postState: null,
    postedMs: null,
    createdMs: atMs,
    readyMs: null,
    bootStage: "reserved",
    bootStageMs: atMs,
    terminatingMs: null,
    drainsWithoutDeadline: false,
    goneMs: null,
    statusReason: null,
    busy: false,
  };
  return { row, timings };
}

function isEnd(order: Order | null): boolean {
  return order !== null && order.kind !== "drain";
}

function rotation({ workerMaxLifetimeSec }: WorkerTimings): DrainOrder {
  return { reason: `maximum lifetime of ${workerMaxLifetimeSec} s reached`, onlyIdle: false };
}
