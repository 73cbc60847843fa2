import { z } from "zod";
import type { Intent } from "../../../contract/intent.ts";
import type { PoolStatus } from "../../../contract/messages.ts";
import { type Database, DatabaseError } from "../../../supabase/client.ts";
import { answerOf, type Connections, inTime } from "../../connections.ts";
import { askPool } from "../../pool-workflow.ts";
import type { Controller, FleetWorker, PoolReading, QueueCounts } from "../../render/pool-reading.ts";

const DAY_MS = 86_400_000;
const PAGE = 1_000;

const cap = z.number().nullish().catch(null);

const observation = z.object({
  now_ms: z.number(),
  environment: z.object({ maxHourlySpendUsd: cap, dailyBudgetUsd: cap }),
  breaker: z.object({ state: z.enum(["closed", "open", "half_open"]), since_ms: z.number() }),
  spend: z.object({ hourly_usd: z.number(), today_usd: z.number() }),
  intent: z.object({
    mode: z.enum(["normal", "draining", "paused", "closing"]),
    hold: z.number().nullable(),
    hold_until_ms: z.number().nullable(),
    version: z.number(),
  }),
  fleet: z.array(
    z.object({
      id: z.string(),
      status: z.enum(["spawning", "active", "terminating", "terminated", "error"]),
      origin: z.enum(["pool", "external"]),
      boot_stage: z.string(),
      pod_id: z.string().nullable(),
      created_ms: z.number(),
      heartbeat_ms: z.number().nullable(),
      cost_per_hour_usd: z.number().nullable(),
      task: z.object({ id: z.string(), progress: z.number().nullable() }).nullable(),
    }),
  ),
});

/** Reads the status of a pool; one reader may be asked again and again. */
export function createStatusReader(connections: Connections, pool: string): () => Promise<PoolReading> {
  const endedCost = cached(30_000, readEndedCost);
  return async () => {
    const database = await connections.database();
    const [observed, queue, living, ended, lastDecision, controller] = await Promise.all([
      observe(database, pool),
      countQueue(database, pool),
      readLiving(database, pool),
      endedCost(database, pool),
      readLastDecision(database, pool),
      askController(connections, pool),
    ]);
    const nowMs = observed?.now_ms ?? Date.now();
    return {
      pool,
      nowMs,
      intent: observed && toIntent(observed.intent),
      fleet: (observed?.fleet ?? []).map((row) => toWorker(row, living.get(row.id)?.taskType ?? null)),
      queue,
      costUsd: [...living.values()].reduce((sum, { billedFromMs, billedToMs, rateUsd }) => {
        return billedFromMs === null
          ? sum
          : sum + (rateUsd * Math.max(0, (billedToMs ?? nowMs) - billedFromMs)) / 3_600_000;
      }, ended),
      account: observed && toAccount(observed),
      breaker: observed && { state: observed.breaker.state, sinceMs: observed.breaker.since_ms },
      lastDecision,
      controller,
    };
  };
}

type Observed = z.infer<typeof observation>;

async function observe(database: Database, pool: string): Promise<Observed | null> {
  // Two figures that nothing here depends on: the length of a full pass, and the breaker's window.
  const unused = { p_poll_sec: 30, p_failure_window_min: 5 };
  const args = { p_pool: pool, p_known_fleet: null, p_full: false, p_spend: true, ...unused };
  try {
    return await inTime("pool_observe", database.call("pool_observe", args, observation));
  } catch (error) {
    if (error instanceof DatabaseError && error.code === "PT404") {
      return null;
    }
    throw error;
  }
}

function toIntent({ mode, hold, hold_until_ms: holdUntilMs, version }: Observed["intent"]): Intent {
  return { mode, hold, holdUntilMs, version };
}

function toAccount({ spend, environment }: Observed): PoolReading["account"] {
  return {
    hourlyUsd: spend.hourly_usd,
    todayUsd: spend.today_usd,
    maxHourlySpendUsd: environment.maxHourlySpendUsd ?? null,
    dailyBudgetUsd: environment.dailyBudgetUsd ?? null,
  };
}

function toWorker(row: Observed["fleet"][number], taskType: string | null): FleetWorker {
  return {
    id: row.id,
    status: row.status,
    origin: row.origin,
    bootStage: row.boot_stage,
    podId: row.pod_id,
    createdMs: row.created_ms,
    heartbeatMs: row.heartbeat_ms,
    costPerHourUsd: row.cost_per_hour_usd,
    task: row.task && { ...row.task, type: taskType },
  };
}

async function countQueue({ client }: Database, pool: string): Promise<QueueCounts> {
  const tasks = (status: string) =>
    client.from("tasks").select("id", { head: true, count: "exact" }).eq("pool", pool).eq("status", status);
  const since = new Date(Date.now() - DAY_MS).toISOString();
  const count = async (request: ReturnType<typeof tasks>) => (await answerOf("count tasks", request)).count ?? 0;
  const [open, held, blocked, inProgress, completeLastDay, failedLastDay] = await Promise.all([
    count(tasks("Queued").eq("gate", "open")),
    count(tasks("Queued").eq("gate", "held")),
    count(tasks("Queued").eq("gate", "blocked")),
    count(tasks("In Progress")),
    count(tasks("Complete").gte("updated_at", since)),
    count(tasks("Failed").gte("updated_at", since)),
  ]);
  return { open, held, blocked, inProgress, completeLastDay, failedLastDay };
}

interface Living {
  readonly taskType: string | null;
  readonly billedFromMs: number | null;
  readonly billedToMs: number | null;
  readonly rateUsd: number;
}

const livingRow = z.object({
  id: z.string(),
  pod_created_at: z.string().nullable(),
  deleted_at: z.string().nullable(),
  cost_per_hr_usd: z.number().nullable(),
  task_attempts: z.array(z.object({ tasks: z.object({ task_type: z.string() }).nullable() })),
});

async function readLiving({ client }: Database, pool: string): Promise<Map<string, Living>> {
  const columns = "id, pod_created_at, deleted_at, cost_per_hr_usd, task_attempts(tasks(task_type))";
  const rows = await allRows("read workers", livingRow, (from, to) =>
    client
      .from("workers")
      .select(columns)
      .eq("pool", pool)
      .is("gone_at", null)
      .is("task_attempts.ended_at", null)
      .order("id")
      .range(from, to),
  );
  return new Map(
    rows.map((row) => [
      row.id,
      {
        taskType: row.task_attempts[0]?.tasks?.task_type ?? null,
        billedFromMs: row.pod_created_at === null ? null : Date.parse(row.pod_created_at),
        billedToMs: row.deleted_at === null ? null : Date.parse(row.deleted_at),
        rateUsd: row.cost_per_hr_usd ?? 0,
      },
    ]),
  );
}

async function readEndedCost({ client }: Database, pool: string): Promise<number> {
  const rows = await allRows("read costs", z.object({ cost_usd: z.number() }), (from, to) =>
    client.from("workers").select("cost_usd").eq("pool", pool).gt("cost_usd", 0).order("id").range(from, to),
  );
  return rows.reduce((sum, { cost_usd: usd }) => sum + usd, 0);
}

async function readLastDecision({ client }: Database, pool: string): Promise<PoolReading["lastDecision"]> {
  const request = client.from("pool_events").select("at, reason").eq("pool", pool).eq("kind", "decision");
  const { data } = await answerOf("read decisions", request.order("id", { ascending: false }).limit(1));
  const row = data?.[0];
  return row === undefined ? null : { atMs: Date.parse(row.at), reason: row.reason };
}

async function askController(connections: Connections, pool: string): Promise<Controller> {
  const asked = await askPool<PoolStatus>(connections, pool, "status");
  return asked.state === "answers" ? { state: "answers", status: asked.answer, look: asked.look } : asked;
}

type Request = Parameters<typeof answerOf<unknown>>[1];

/** Every row of a request, whatever the server's limit of rows per answer. */
async function allRows<T>(
  operation: string,
  row: z.ZodType<T>,
  request: (from: number, to: number) => Request,
): Promise<T[]> {
  const rows: T[] = [];
  for (;;) {
    const { data, status } = await answerOf(operation, request(rows.length, rows.length + PAGE - 1));
    const page = z.array(row).safeParse(data);
    if (!page.success) {
      throw new DatabaseError(operation, status, "", `unexpected answer: ${page.error.message}`, null);
    }
    rows.push(...page.data);
    if (page.data.length < PAGE) {
      return rows;
    }
  }
}

function cached<A extends readonly unknown[], T>(forMs: number, read: (...args: A) => Promise<T>) {
  let last: { readonly value: T; readonly untilMs: number } | null = null;
  return async (...args: A): Promise<T> => {
    if (last === null || Date.now() >= last.untilMs) {
      last = { value: await read(...args), untilMs: Date.now() + forMs };
    }
    return last.value;
  };
}
