import type { Explanation } from "../../../contract/explanations.ts";
import type { Look } from "../../../contract/activities.ts";
import { type PoolExplanation, poolQueries } from "../../../contract/pool-api.ts";
import { DatabaseError } from "../../../supabase/database-error.ts";
import { journalStore } from "../../../supabase/journal-store.ts";
import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { formatDuration } from "../../render/durations.ts";
import { describeStale, type Freshness, freshnessOf } from "../../render/freshness.ts";
import { describeMessage, isWithoutEffect } from "../../render/messages.ts";
import type { Message } from "../../render/pool-reading.ts";
import { plain, type Style } from "../../render/output.ts";
import { askPool } from "../../pool-workflow.ts";
import { describeFailedBoots, type FailedBoot } from "../../render/failed-boots.ts";
import { describeActions } from "../../render/round.ts";
import { isoTime } from "../../render/stored.ts";

/** The workflow keeps no more decisions than these. */
const KEPT_BY_WORKFLOW = 20;
const SHOWN_PLACES = 3;

export async function explainPool(context: Context, options: PoolOptions & { decisions: number }): Promise<void> {
  const { output } = context;
  const pool = poolName(context, options);
  const explanation = await read(context, pool, options.decisions);
  const places = await lastPlaces(context, pool);
  if (options.json) {
    const { seen, ...rest } = explanation;
    output.printJson({ ...rest, places, observedAt: seen?.observedAt ?? null, stale: seen?.isStale ?? null });
  } else {
    const lines = renderExplanation(explanation, Date.now(), output.style);
    output.print([...lines, ...renderPlaces(places, output.style)]);
  }
}

const SHOWN_MESSAGES = 5;

interface Place {
  /** ISO 8601. */
  readonly at: string;
  readonly worker: string | null;
  readonly reason: string;
}

interface Explained extends PoolExplanation {
  /** Of the last hour, the newest first. Null: the database did not say. */
  readonly failedBoots: readonly FailedBoot[] | null;
  /** The last ones, the newest first; null: the database does not say. */
  readonly messages: readonly Message[] | null;
  /** Age of `now`; null: no workflow answered. */
  readonly seen: Freshness | null;
}

async function read(context: Context, pool: string, count: number): Promise<Explained> {
  const asked = await askPool(context.connections, pool, poolQueries.explain);
  const { journaledDecisions, readFailedBoots } = await import("./explain-read.ts");
  const messages = await lastMessages(context, pool);
  if (asked.state === "answers" && count <= KEPT_BY_WORKFLOW) {
    const failedBoots = await readFailedBoots(context.connections, pool).catch(() => null);
    const latest = asked.answer.decisions.slice(0, count);
    return { ...asked.answer, decisions: latest, failedBoots, messages, seen: seenAt(asked) };
  }
  const decisions = await journaledDecisions(context, pool, count);
  const failedBoots = await readFailedBoots(context.connections, pool);
  if (asked.state === "answers") {
    return { ...asked.answer, decisions, failedBoots, messages, seen: seenAt(asked) };
  }
  context.output.note(`gpu-pool: pool ${pool} does not answer: ${asked.reason}; this is its journal`);
  return { pool, now: null, decisions, failedBoots, messages, seen: null };
}

/** The workflow answers without the database, so a database that is away must not end the command. */
async function lastMessages(context: Context, pool: string): Promise<Message[] | null> {
  try {
    return await journalStore(await context.connections.database()).messages(pool, SHOWN_MESSAGES);
  } catch (error) {
    if (error instanceof DatabaseError) {
      return null;
    }
    throw error;
  }
}

function seenAt({ answer: { now }, look }: { readonly answer: PoolExplanation; readonly look: Look | null }) {
  return now === null ? null : freshnessOf(now.at, look, Date.now());
}

/** Where the last pods were asked for, and why there. Null: the database does not answer, and the rest needs it not. */
async function lastPlaces({ connections }: Context, pool: string): Promise<readonly Place[] | null> {
  try {
    const { journalStore } = await import("../../../supabase/journal-store.ts");
    const places = await journalStore(await connections.database()).places(pool, SHOWN_PLACES);
    return places.map(({ at, reason, worker_id: worker }) => ({ at: isoTime(at), worker, reason }));
  } catch {
    return null;
  }
}

export function renderPlaces(places: readonly Place[] | null, style: Style): string[] {
  const lines = (places ?? []).map(
    ({ at, worker, reason }) => `${style("dim", `${at.slice(0, 19)}Z`)}  ${plain(`${worker ?? "?"}: ${reason}`)}`,
  );
  return lines.length === 0 ? [] : ["", "where the last pods were asked for:", ...lines];
}

/** The state first, then the last messages, the boots that failed and the decisions, the newest first. */
export function renderExplanation(explained: Explained, nowMs: number, style: Style): string[] {
  const { pool, now, decisions, failedBoots, messages, seen } = explained;
  const lines: string[] = [];
  if (now !== null) {
    lines.push(`${style("bold", `pool ${pool}`)} at ${timeOf(now)}: ${sentence(now, style)}`);
    if (seen !== null) {
      const age = `seen ${formatDuration(seen.ageMs)} ago`;
      lines.push(seen.isStale ? style("red", `WARNING: ${describeStale(seen)}`) : style("dim", age));
    }
    lines.push(...circumstances(now, style), "");
  }
  if (messages !== null && messages.length > 0) {
    lines.push("last messages:");
    for (const message of messages) {
      lines.push(`  ${style(isWithoutEffect(message) ? "red" : "dim", describeMessage(message, nowMs))}`);
    }
    lines.push("");
  }
  lines.push(...describeFailedBoots(failedBoots ?? [], style));
  if (decisions.length === 0) {
    return [...lines, `pool ${pool} has decided nothing yet that changes anything`];
  }
  for (const decision of decisions) {
    lines.push(`${style("dim", timeOf(decision))}  ${sentence(decision, style)}`);
    lines.push(...describeActions(decision).map((text) => `                      ${text}`));
  }
  return lines;
}

function sentence({ rule, reason }: Explanation, style: Style): string {
  return `${rule === null ? "" : `${style("cyan", rule)}: `}${plain(reason)}`;
}

function circumstances({ inputs }: Explanation, style: Style): string[] {
  const { breaker = "closed", suspended = null, schedule = null, undone = [] } = inputs ?? {};
  return [
    ...(undone.length === 0 ? [] : [style("red", `no worker can do what waits of: ${plain(undone.join(", "))}`)]),
    ...(breaker === "closed" ? [] : [style("red", `breaker ${breaker.replace("_", "-")}`)]),
    ...(suspended === null ? [] : [style("yellow", `verdicts suspended: ${plain(suspended)}`)]),
    ...(schedule === null ? [] : [`schedule: ${plain(schedule)}`]),
  ];
}

function timeOf({ at }: Explanation): string {
  return `${isoTime(at).slice(0, 19)}Z`;
}
