import { writeFile } from "node:fs/promises";
import { type Candidate, compare, type Comparison } from "../../../backtest/compare.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import type { PoolOptions } from "../../options.ts";
import { comparisonJson, renderComparison } from "../../render/comparison.ts";
import { plain } from "../../render/output.ts";
import { drawComparison } from "../../render/picture/comparison-picture.ts";
import { withoutBudget } from "./candidates.ts";
import type { Source } from "./sources.ts";

const UNKNOWN_BOOT_SEC = 120;

export interface SimulationOptions extends PoolOptions {
  readonly since: number;
  readonly bootSec?: number;
  readonly bootSigma: number;
  readonly price?: number;
  readonly seed: number;
  readonly svg?: string;
}

export interface Simulation {
  readonly source: Source;
  readonly comparison: Comparison;
}

/** @throws ClientError when the pool has served nothing in that time */
export function runSimulation(
  { output }: Context,
  { bootSec, bootSigma, price, seed }: SimulationOptions,
  source: Source,
  candidates: readonly Candidate[],
): Simulation {
  const { arrivals, fromMs, toMs } = source;
  if (arrivals.length === 0) {
    const advice = "Look further back with --since, or try other tasks with --csv or --generate.";
    throw new ClientError(EXIT.failed, `nothing to simulate: ${plain(source.about)} is empty`, advice);
  }
  const priceUsd = price ?? source.priceUsd;
  const budgeted = candidates.filter(({ settings }) => settings.maxHourlySpendUsd ?? settings.dailyBudgetUsd);
  if (priceUsd === null && budgeted.length > 0) {
    output.note("gpu-pool: no price is known, so budgets are left out; give --price");
  }
  const comparison = compare(
    priceUsd === null ? candidates.map(withoutBudget) : candidates,
    arrivals,
    {
      bootSec: bootSec ?? source.bootSec ?? UNKNOWN_BOOT_SEC,
      bootSigma,
      seed,
      claims: "as_polled",
      priceUsd,
      ...(fromMs !== undefined && { fromMs }),
      ...(toMs !== undefined && { toMs }),
    },
    ({ label }, share) => {
      if (output.errIsTerminal) {
        output.progress(`${plain(label)}: ${Math.floor(share * 100)} %`);
      }
    },
  );
  return { source, comparison };
}

/** Prints the comparison, and writes its picture if one is wanted. @throws ClientError when it cannot be written */
export async function showSimulation(
  { output }: Context,
  { json, svg }: SimulationOptions,
  { source, comparison }: Simulation,
  advice: readonly string[] = [],
): Promise<void> {
  // First of all: what took minutes is not lost for a picture that cannot be written.
  if (json) {
    output.printJson({ ...comparisonJson(source.about, comparison), ...(advice.length > 0 && { advice }) });
  } else {
    const lines = renderComparison(source.about, comparison, output.size().columns, output.style);
    output.print([...lines, ...advice]);
  }
  if (svg !== undefined) {
    await writeFile(svg, drawComparison(source.about, comparison)).catch((error: unknown) => {
      throw new ClientError(EXIT.usage, `--svg ${plain(svg)} cannot be written: ${(error as Error).message}`, null);
    });
    output.note(`the picture is in ${plain(svg)}`);
  }
}
