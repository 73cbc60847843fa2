import type { Mode } from "./intent.ts";
import type { BreakerState } from "./plan.ts";

/**
 * A pool at one moment, as dashboards show it. Times are ISO 8601, by the database's clock; null: not known, or there is none.
 * Schema: docs/dashboard.schema.json.
 */
export interface Dashboard {
  readonly pool: string;
  readonly at: string;
  readonly observedAt: string | null;
  readonly mode: Mode;
  readonly hold: number | null;
  readonly holdUntil: string | null;
  readonly breaker: BreakerState;
  readonly desired: number | null;
  readonly min: number | null;
  readonly max: number | null;
  readonly queue: DashboardQueue;
  readonly workers: Readonly<Record<WorkerPhase, number>>;
  readonly usdPerHour: number;
  readonly account: {
    readonly usdPerHour: number;
    readonly usdToday: number;
    readonly unpriced: number;
    readonly maxUsdPerHour: number | null;
    readonly maxUsdToday: number | null;
  };
  /** Of the last hour, the oldest first. A minute that nobody observed is missing. */
  readonly minutes: readonly DashboardMinute[];
  /** The last ten, the newest first. */
  readonly decisions: readonly { readonly at: string; readonly reason: string }[];
  /** Those that are open, at most 20, the newest first. */
  readonly alerts: readonly DashboardAlert[];
  /** How many living workers the filter leaves; `fleet` has the first of them. */
  readonly fleetCount: number;
  readonly fleet: readonly DashboardWorker[];
}

export const WORKER_PHASES = ["failing", "spawning", "busy", "idle", "terminating"] as const;
export type WorkerPhase = (typeof WORKER_PHASES)[number];

/** Tasks by gate, and those in progress on a worker. */
export interface DashboardQueue {
  readonly open: number;
  readonly held: number;
  readonly blocked: number;
  readonly delayed: number;
  readonly running: number;
  readonly oldestWaitSec: number | null;
}

/** A minute from its beginning `at`; counts are those of its end. */
export interface DashboardMinute extends DashboardQueue, Readonly<Record<WorkerPhase, number>> {
  readonly at: string;
  readonly desired: number | null;
  readonly completed: number;
  readonly failed: number;
  readonly usdPerHour: number;
}

export interface DashboardAlert {
  readonly kind: string;
  readonly subject: string;
  readonly pool: string | null;
  readonly message: string;
  readonly openedAt: string;
  readonly whatToDo: string;
}

export interface DashboardWorker {
  readonly id: string;
  readonly phase: WorkerPhase;
  readonly origin: "pool" | "external";
  readonly bootStage: string;
  readonly bootStageAt: string;
  readonly createdAt: string;
  readonly heartbeatAt: string | null;
  readonly gpu: string | null;
  readonly usdPerHour: number | null;
  readonly task: {
    readonly id: string;
    readonly type: string;
    /** From 0 to 1. */
    readonly progress: number | null;
    readonly startedAt: string;
  } | null;
}
