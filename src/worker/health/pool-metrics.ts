import type { MetricsReading } from "../../supabase/processes/metrics-store.ts";
import type { Family, Sample } from "./families.ts";

type Pool = MetricsReading["pools"][number];

const MODES = ["normal", "draining", "paused", "closing"];
const BREAKER_STATES = ["closed", "half_open", "open"];
const GATES = ["open", "held", "blocked", "delayed"];
/** The phases of the pool's own workers, which are shown as zero too. */
const PHASES = ["spawning", "idle", "busy", "terminating", "failing"];

/** The metrics that one process shows of all pools. */
export function poolMetrics(reading: MetricsReading): Family[] {
  return [...sizes(reading.pools), ...states(reading.pools), ...account(reading), ...durations(reading)];
}

function sizes(pools: readonly Pool[]): Family[] {
  return [
    gauge(
      "desired_workers",
      "Size that the pool's newest decision wants.",
      each(pools, ({ desired }) => desired),
    ),
    gauge(
      "min_workers",
      "MIN in force, with schedules.",
      each(pools, ({ min }) => min),
    ),
    gauge(
      "max_workers",
      "MAX in force, with schedules.",
      each(pools, ({ max }) => max),
    ),
    gauge(
      "hold_workers",
      "Size that an operator holds the pool at; absent without a hold.",
      each(pools, ({ hold }) => hold),
    ),
    gauge(
      "workers",
      "Workers whose pod was not seen gone, by origin and phase.",
      pools.flatMap(({ pool, workers }) =>
        [
          ...PHASES.filter((phase) => !workers.some((w) => w.origin === "pool" && w.phase === phase)).map((phase) => ({
            origin: "pool",
            phase,
            workers: 0,
          })),
          ...workers,
        ].map(({ origin, phase, workers: value }) => ({ value, labels: { pool, origin, phase } })),
      ),
    ),
    gauge(
      "queue_tasks",
      "Queued tasks by gate; those of gate open may be claimed.",
      pools.flatMap(({ pool, queue }) => GATES.map((gate) => ({ value: queue[gate] ?? 0, labels: { pool, gate } }))),
    ),
    gauge(
      "queue_oldest_seconds",
      "Since when the task that waits longest could be claimed; 0: none waits.",
      each(pools, ({ oldestSec }) => oldestSec ?? 0),
    ),
    gauge(
      "spend_usd_per_hour",
      "Price of the pool's pods that were not seen gone; a pod of unknown price counts with the catalog's.",
      each(pools, ({ usdPerHour }) => usdPerHour),
    ),
  ];
}

function states(pools: readonly Pool[]): Family[] {
  const oneOf = (states: readonly string[], label: string, read: (pool: Pool) => string) =>
    pools.flatMap((pool) =>
      states.map((state) => ({ value: Number(read(pool) === state), labels: { pool: pool.pool, [label]: state } })),
    );
  return [
    gauge(
      "observation_age_seconds",
      "Time since the last full observation; absent until the first.",
      each(pools, ({ observedSec }) => observedSec),
    ),
    gauge(
      "should_run",
      "1: the pool was started and not shut down, so its controller must run.",
      each(pools, ({ shouldRun }) => Number(shouldRun)),
    ),
    gauge(
      "mode",
      "1 for what operators want of the pool.",
      oneOf(MODES, "mode", ({ mode }) => mode),
    ),
    gauge(
      "breaker",
      "1 for the state of the breaker; open: nothing is spawned, because workers fail before they are ready.",
      oneOf(BREAKER_STATES, "state", ({ breaker }) => breaker),
    ),
    gauge(
      "no_placement",
      "1: no place was found for the last pod.",
      each(pools, ({ noPlace }) => Number(noPlace)),
    ),
  ];
}

function account({ spend, limits, noFunds, alerts, processes }: MetricsReading): Family[] {
  const limit = (value: number | null | undefined) => (value === null || value === undefined ? [] : [{ value }]);
  return [
    gauge("account_spend_usd_per_hour", "Price of all pods of the account that were not seen gone.", [
      { value: spend.hourlyUsd },
    ]),
    gauge("account_spend_limit_usd_per_hour", "MAX_HOURLY_SPEND_USD; absent without one.", limit(limits?.hourlyUsd)),
    gauge("account_spend_today_usd", "Spend of the account since midnight UTC.", [{ value: spend.todayUsd }]),
    gauge("account_daily_budget_usd", "DAILY_BUDGET_USD; absent without one.", limit(limits?.dailyUsd)),
    gauge("account_unpriced_pods", "Pods of which no price is known; the spend lacks them.", [
      { value: spend.unpriced },
    ]),
    gauge("account_no_funds", "1: the provider refuses pods for lack of funds.", [{ value: Number(noFunds) }]),
    gauge(
      "alerts_open",
      "Open alerts of each kind.",
      Object.entries(alerts).map(([kind, value]) => ({ value, labels: { kind } })),
    ),
    gauge("processes", "Worker processes that gave a sign of life within 30 seconds.", [{ value: processes }]),
  ];
}

function durations({ totals }: MetricsReading): Family[] {
  const bound = (label: string) => (label === "+Inf" ? Infinity : Number(label));
  const ofPool = (name: string, pool: string): Sample[] => {
    const own = totals.filter((total) => total.pool === pool);
    const buckets = own
      .filter(({ metric }) => metric === `${name}_bucket`)
      .sort((a, b) => bound(a.label) - bound(b.label));
    return [
      ...buckets.map(({ label, value }) => ({ value, labels: { pool, le: label }, of: `gpu_pool_${name}_bucket` })),
      {
        value: own.find(({ metric }) => metric === `${name}_sum`)?.value ?? 0,
        labels: { pool },
        of: `gpu_pool_${name}_sum`,
      },
      { value: buckets.at(-1)?.value ?? 0, labels: { pool }, of: `gpu_pool_${name}_count` },
    ];
  };
  const pools = [...new Set(totals.map(({ pool }) => pool))];
  const histogram = (name: string, help: string): Family => ({
    name: `gpu_pool_${name}`,
    help,
    type: "histogram",
    samples: pools.flatMap((pool) => ofPool(name, pool)),
  });
  return [
    histogram("task_wait_seconds", "Time from when a task could be claimed until it was."),
    histogram("cold_start_seconds", "Time from a worker's booking until its first heartbeat."),
  ];
}

function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `gpu_pool_${name}`, help, type: "gauge", samples };
}

/** One value for each pool; null: it has none. */
function each(pools: readonly Pool[], read: (pool: Pool) => number | null): Sample[] {
  return pools.flatMap((pool) => {
    const value = read(pool);
    return value === null ? [] : [{ value, labels: { pool: pool.pool } }];
  });
}
