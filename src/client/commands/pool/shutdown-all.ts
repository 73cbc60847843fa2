import { setTimeout as sleep } from "node:timers/promises";
import { poolQueries, poolUpdates } from "../../../contract/pool-api.ts";
import type { Database } from "../../../supabase/client.ts";
import { fleetStore } from "../../../supabase/fleet/fleet-store.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import { readView } from "../../../supabase/views.ts";
import { confirm } from "../../confirm.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT, type ExitCode } from "../../errors.ts";
import type { JsonOptions } from "../../options.ts";
import { askPool, FOREIGN_ADVICE, updatePool } from "../../pool-workflow.ts";
import { plain } from "../../render/output.ts";
import { counted } from "../../render/rows.ts";
import { startPool } from "../../start-pool.ts";

const POLL_MS = 1_000;

export interface ShutdownAllOptions extends JsonOptions {
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  /** False: the orders are given, and their end is not waited for. */
  readonly wait: boolean;
}

/** Workers of a pool that are not seen gone. */
export interface Living {
  readonly pool: string;
  /** The workers that the pool rented. */
  readonly workers: number;
  readonly busy: number;
  readonly usdPerHour: number;
  /** Machines of others, which drain but are not ended. */
  readonly external: number;
}

interface Ordered extends Living {
  /** The outcome of the order; failed: the command ends with the error. */
  readonly outcome: "drains" | "closes" | "drains at its next round" | "failed";
  readonly reason?: string;
}

/**
 * Drains every pool and waits until no pod of theirs is left.
 * @throws ClientError when nobody agrees, and after all orders when some pool did not take its own
 */
export async function shutDownAll(context: Context, options: ShutdownAllOptions): Promise<void> {
  const { output } = context;
  const database = await context.connections.database();
  const before = await livingOf(database);
  if (before.length === 0 || options.dryRun) {
    report(context, options, { dryRun: options.dryRun === true, ended: false, pools: before }, describePlan(before));
    return;
  }
  output.note(describePlan(before));
  await confirm(context, `Drain ${counted(before.length, "pool", "pools")}?`, options.yes === true);
  const failures: ClientError[] = [];
  const ordered: Ordered[] = [];
  for (const living of before) {
    ordered.push(await order(context, living, failures));
  }
  const taken = ordered.filter(({ outcome }) => outcome !== "failed").map(({ pool }) => pool);
  if (options.wait) {
    await waitUntilGone(context, database, taken);
  }
  const lines = ordered.map((each) => describeOrdered(each, options.wait));
  report(context, options, { dryRun: false, ended: options.wait && failures.length === 0, pools: ordered }, lines);
  refuseWith(failures);
}

function report({ output }: Context, { json }: JsonOptions, answer: unknown, lines: readonly string[]): void {
  if (json) {
    output.printJson(answer);
  } else {
    output.print(lines);
  }
}

/** Pools that were shut down stay so, and are left out. */
async function livingOf(database: Database): Promise<Living[]> {
  const [pools, workers] = await Promise.all([readView(database, "orchestrator_status"), fleetStore(database).seen()]);
  const all = pools.map(({ pool: name, mode }) => {
    const pool = name ?? "";
    const own = workers.filter((worker) => worker.pool === pool && worker.origin === "pool");
    return {
      pool,
      mode,
      workers: own.length,
      busy: own.filter(({ held }) => held.length > 0).length,
      usdPerHour: own.reduce((sum, { pod_id: pod, cost_per_hr_usd: usd }) => sum + (pod === null ? 0 : (usd ?? 0)), 0),
      external: workers.filter((worker) => worker.pool === pool && worker.origin === "external").length,
    };
  });
  return all
    .filter(({ mode, workers: left }) => mode !== "closing" || left > 0)
    .map(({ mode: _mode, ...living }) => living);
}

/** A pool that a round or a start may bring back drains too; one without a workflow learns it from its row. */
async function order(context: Context, living: Living, failures: ClientError[]): Promise<Ordered> {
  const { pool } = living;
  try {
    const asked = await askPool(context.connections, pool, poolQueries.status);
    if (asked.state === "foreign") {
      throw new ClientError(EXIT.failed, `shutdown-all: ${asked.reason}`, FOREIGN_ADVICE);
    }
    if (asked.state === "unreachable") {
      throw new ClientError(EXIT.unreachable, asked.reason);
    }
    if (asked.state === "not_running") {
      return { ...living, outcome: await drainByRow(context, living) };
    }
    if (asked.state === "answers" && asked.answer.intent?.mode === "closing") {
      return { ...living, outcome: "closes" };
    }
    await updatePool(context, pool, poolUpdates.drain.name, (workflow) => workflow.executeUpdate(poolUpdates.drain));
    return { ...living, outcome: "drains" };
  } catch (error) {
    if (!(error instanceof ClientError)) {
      throw error;
    }
    failures.push(error);
    return { ...living, outcome: "failed", reason: error.message };
  }
}

async function drainByRow(context: Context, { pool, workers }: Living): Promise<Ordered["outcome"]> {
  await poolStore(await context.connections.database()).setIntent(pool, { kind: "drain" });
  if (workers === 0) {
    return "drains at its next round";
  }
  await startPool(context, pool, { rounds: 1 });
  return "drains";
}

async function waitUntilGone({ output }: Context, database: Database, pools: readonly string[]): Promise<void> {
  let shown = "";
  for (;;) {
    const left = (await livingOf(database)).filter(({ pool, workers }) => workers > 0 && pools.includes(pool));
    if (left.length === 0) {
      return;
    }
    const line = `draining: ${left.map(describeLiving).join(", ")}`;
    if (line !== shown) {
      shown = line;
      output.progress(line);
    }
    await sleep(POLL_MS);
  }
}

export function describePlan(pools: readonly Living[]): string[] {
  if (pools.length === 0) {
    return ["there is no pool but those that were shut down: nothing to drain"];
  }
  const usd = pools.reduce((sum, { usdPerHour }) => sum + usdPerHour, 0);
  return [
    ...pools.map((living) => `pool ${describeLiving(living)}`),
    `each drains: running tasks are finished, every pod is deleted ($${usd.toFixed(2)} an hour now), and none comes back until gpu-pool resume`,
  ];
}

function describeLiving({ pool, workers, busy, external }: Living): string {
  const working = busy === 0 ? "" : `, ${busy} at work`;
  const others = external === 0 ? "" : `; ${external} external, which drain and stay`;
  return plain(`${pool}: ${counted(workers, "worker", "workers")}${working}${others}`);
}

function describeOrdered({ pool, outcome, reason }: Ordered, waited: boolean): string {
  if (outcome === "failed") {
    return plain(`pool ${pool}: not drained: ${reason ?? ""}`);
  }
  const again = outcome === "closes" ? `gpu-pool pool start --pool ${pool}` : `gpu-pool resume --pool ${pool}`;
  return `pool ${pool}: ${waited ? "no pod is left" : outcome}; back again: ${again}`;
}

/** @throws ClientError when there is any failure */
function refuseWith(failures: readonly ClientError[]): void {
  const [first, ...others] = failures;
  if (first === undefined) {
    return;
  }
  const codes = new Set<ExitCode>(failures.map(({ exitCode }) => exitCode));
  const more = others.map(({ message }) => `\n${message}`).join("");
  throw new ClientError(codes.size === 1 ? first.exitCode : EXIT.failed, `${first.message}${more}`, first.advice);
}
