import type { Candidate } from "../../../backtest/compare.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { poolName } from "../../pool-name.ts";
import { candidateOf, present, settingsOf, settingsOfEnvironment } from "./candidates.ts";
import { runSimulation, showSimulation, type SimulationOptions } from "./simulation.ts";
import { fromCsv, fromGenerator, fromHistory } from "./sources.ts";

export interface BacktestOptions extends SimulationOptions {
  readonly csv?: string;
  /** True: without a value. */
  readonly generate?: string | true;
  readonly set: readonly string[];
}

/** Simulates the given settings, or the present ones, and prints them side by side. */
export async function backtest(context: Context, options: BacktestOptions): Promise<void> {
  const { csv, generate } = options;
  if (csv !== undefined && generate !== undefined) {
    throw new ClientError(EXIT.usage, "--csv and --generate exclude each other", "Give one of them.");
  }
  if (csv !== undefined || generate !== undefined) {
    // What is wrong with the settings is said before a long file is read.
    const candidates = candidatesOf(options, present(settingsOfEnvironment(context)));
    const source =
      csv === undefined ? fromGenerator(generate === true ? "" : (generate ?? "")) : await fromCsv(context, csv);
    await showSimulation(context, options, runSimulation(context, options, source, candidates));
    return;
  }
  const pool = poolName(context, options);
  const candidates = candidatesOf(options, present(await settingsOf(context, pool)));
  const source = await fromHistory(context, pool, options.since);
  await showSimulation(context, options, runSimulation(context, options, source, candidates));
}

function candidatesOf({ set }: BacktestOptions, now: Candidate): readonly Candidate[] {
  return set.length === 0 ? [now] : set.map((pairs) => candidateOf(now.settings, pairs));
}
