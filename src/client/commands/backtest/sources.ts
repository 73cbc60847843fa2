import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { type Arrival, inOrder } from "../../../backtest/arrivals.ts";
import { CsvError, CsvReader } from "../../../backtest/csv.ts";
import { generate, type Load, LOAD } from "../../../backtest/generate.ts";
import { bootSecOf } from "../../../policy/latency/samples.ts";
import { historyStore } from "../../../supabase/history/history-store.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { plain } from "../../render/output.ts";

/** More would not fit into memory. */
const MOST_TASKS = 3_000_000;
/** A longer time would be simulated for minutes, and is most often one wrong year. */
const MOST_DAYS = 3_660;

/** Tasks to live through once more, and what is known of the pool that served them. */
export interface Source {
  /** In words, as in "the last 7 days of pool main". */
  readonly about: string;
  readonly arrivals: readonly Arrival[];
  /** Median of the pool's last boots; null: not known. */
  readonly bootSec: number | null;
  /** What its last worker cost, USD an hour; null: not known. */
  readonly priceUsd: number | null;
  /** When what was read begins and ends, ms since epoch; left out: with the first and the last task. */
  readonly fromMs?: number;
  readonly toMs?: number;
}

/** Reads a file line by line; `-` is standard input. @throws ClientError that names the file and the line */
export async function fromCsv({ stdin }: Context, path: string): Promise<Source> {
  const input = path === "-" ? stdin : createReadStream(path);
  const reader = new CsvReader();
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      reader.read(line);
      requireFew(reader.arrivals.length, path);
    }
  } catch (error) {
    if (error instanceof CsvError) {
      throw new ClientError(EXIT.usage, `${plain(path)}, ${plain(error.message)}`, "Columns: time, seconds, type.");
    }
    if ((error as NodeJS.ErrnoException).code !== undefined) {
      const { message } = error as Error;
      throw new ClientError(EXIT.usage, `--csv ${plain(path)} cannot be read: ${plain(message)}`, null);
    }
    throw error;
  }
  if (reader.arrivals.length === 0) {
    throw new ClientError(EXIT.usage, `--csv ${plain(path)} has no task`, "Expected lines of time, seconds and type.");
  }
  const arrivals = inOrder(reader.arrivals);
  requireShort(arrivals, path);
  return { about: path, arrivals, bootSec: null, priceUsd: null };
}

/** @param text such as days=7,seed=1; empty: the defaults. @throws ClientError */
export function fromGenerator(text: string): Source {
  const load: Record<string, number> = { ...LOAD };
  for (const pair of text === "" ? [] : text.split(",")) {
    const [name = "", value = ""] = pair.split("=").map((part) => part.trim());
    const number = Number(value);
    if (!Object.hasOwn(LOAD, name) || !/^\d+(\.\d+)?$/.test(value)) {
      const expected = `Expected numbers for some of ${Object.keys(LOAD).join(", ")}, such as days=7,seed=1.`;
      throw new ClientError(EXIT.usage, `--generate: ${plain(pair)} is not known`, expected);
    }
    load[name] = number;
  }
  const drawn = load as unknown as Load;
  requireInRange(drawn);
  requireFew((drawn.days * 86_400) / drawn.everySec, "--generate");
  const arrivals = generate(drawn);
  if (arrivals.length === 0) {
    throw new ClientError(EXIT.usage, `--generate ${plain(text)} draws no task`, "Give more days.");
  }
  return { about: `generated, seed ${drawn.seed}`, arrivals, bootSec: null, priceUsd: null };
}

function requireInRange({ days, everySec, taskSec, burstMinutes, silentHours, ...rest }: Load): void {
  const problems = [
    ...(days > 0 && days <= MOST_DAYS ? [] : [`days above 0 and at most ${MOST_DAYS}`]),
    ...(everySec > 0 ? [] : ["everySec above 0"]),
    ...(taskSec > 0 ? [] : ["taskSec above 0"]),
    ...(burstMinutes > 0 ? [] : ["burstMinutes above 0"]),
    ...(silentHours < 24 ? [] : ["silentHours below 24"]),
    ...(Math.max(rest.taskSigma, rest.daySigma, rest.burstSigma) <= 5 && rest.peak <= 50
      ? []
      : ["taskSigma, daySigma and burstSigma of at most 5, and a peak of at most 50"]),
  ];
  if (problems.length > 0) {
    throw new ClientError(EXIT.usage, "--generate is out of range", `Expected ${problems.join("; ")}.`);
  }
}

/** What the pool has served since then. @throws DatabaseError, ClientError */
export async function fromHistory(context: Context, pool: string, sinceSec: number): Promise<Source> {
  const toMs = Date.now();
  const history = historyStore(await context.connections.database());
  // Before its first start the pool had no workers, and other settings would have had none.
  const fromMs = Math.max(toMs - sinceSec * 1000, (await history.beganMs(pool)) ?? 0);
  const arrivals: Arrival[] = [];
  for await (const page of history.served(pool, new Date(fromMs).toISOString())) {
    arrivals.push(...page);
    requireFew(arrivals.length, `the history of pool ${pool}`);
    if (context.output.errIsTerminal) {
      context.output.progress(`read ${arrivals.length} tasks`);
    }
  }
  const boots = await history.boots(pool);
  return {
    about: `what pool ${pool} has served`,
    // A task that was claimed in this time may have waited from before.
    arrivals: inOrder(arrivals).map((each) => ({ ...each, atMs: Math.max(each.atMs, fromMs) })),
    bootSec: bootSecOf(boots.map(({ seconds }) => Math.max(0, seconds)).toReversed()) || null,
    priceUsd: boots.find(({ costPerHourUsd }) => costPerHourUsd !== null)?.costPerHourUsd ?? null,
    fromMs,
    toMs,
  };
}

function requireShort(arrivals: readonly Arrival[], what: string): void {
  const [fromMs = 0, toMs = 0] = [arrivals[0]?.atMs, arrivals.at(-1)?.atMs];
  if (toMs - fromMs > MOST_DAYS * 86_400_000) {
    const [first, last] = [fromMs, toMs].map((ms) => new Date(ms).toISOString().slice(0, 10));
    const message = `${plain(what)} has times from ${first} to ${last}`;
    throw new ClientError(EXIT.usage, message, `Expected at most ${MOST_DAYS} days.`);
  }
}

function requireFew(tasks: number, what: string): void {
  if (tasks > MOST_TASKS) {
    const message = `${plain(what)} has more than ${MOST_TASKS} tasks`;
    throw new ClientError(EXIT.usage, message, "Take a shorter time.");
  }
}
