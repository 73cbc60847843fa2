import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { type DryRun, dryRun } from "./decide-read.ts";
import { plain, type Style } from "../../render/output.ts";
import { renderRound } from "../../render/round.ts";
import { labelled } from "../../render/rows.ts";

/** @param tried settings in place of the pool's own; null: without it. */
export async function showDryRun(
  context: Context,
  options: PoolOptions,
  tried: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { output } = context;
  const run = await dryRun(context, poolName(context, options), tried);
  if (options.json) {
    output.printJson(dryRunJson(run));
  } else {
    output.print(renderDryRun(run, output.size().columns, output.style));
  }
}

/** A dry run in lines of at most `width` characters. */
export function renderDryRun(run: DryRun, width: number, style: Style): string[] {
  const { round, settings, breakerChange, warnings } = run;
  const row = labelled(width, style);
  const own = run.own.length === 0 ? "" : `; the pool's own: ${run.own.join(", ")}`;
  const usd = (cap: number | undefined, per: string) => (cap === undefined ? [] : [`$${cap} ${per}`]);
  const caps = [...usd(settings.maxHourlySpendUsd, "an hour"), ...usd(settings.dailyBudgetUsd, "a day")];
  return [
    ...renderRound(round, width, style),
    ...(breakerChange === null
      ? []
      : [row("breaker", `${breakerChange.state.replace("_", "-")}: ${plain(breakerChange.reason)}`, "red")]),
    row("settings", `${settings.policy}, MIN ${settings.minActiveGpus}, MAX ${settings.maxActiveGpus}${own}`),
    row("budget", caps.length === 0 ? "no cap" : `${caps.join(", ")}${settings.budgetHard ? ", hard" : ""}`),
    ...warnings.map(({ worker, reason }) => row("warning", plain(`${worker}: ${reason}`), "yellow")),
    row("provider", plain(run.provider)),
    "",
    "nothing was changed",
  ];
}

/** The same as JSON. */
export function dryRunJson({ round, settings, own, ...rest }: DryRun): Record<string, unknown> {
  const { decisionId: _, booked: __, ...decision } = round;
  return { ...decision, ...rest, settings: { values: settings, own }, changed: false };
}
