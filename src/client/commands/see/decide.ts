import type { Command } from "commander";
import { addExamples, type Context, jsonOption, poolName, poolOption, type PoolOptions } from "../../context.ts";
import type { DryRun } from "./decide-read.ts";
import { plain, type Style } from "../../render/output.ts";
import { renderRound } from "../../render/round.ts";
import { labelled } from "../../render/rows.ts";

export function addDecideCommand(program: Command, context: Context): void {
  const decide = program
    .command("decide")
    .description("what the pool would do now, and why; changes nothing and needs no Temporal")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PoolOptions) => {
      const { output } = context;
      const { dryRun } = await import("./decide-read.ts");
      const run = await dryRun(context, poolName(context, options));
      if (options.json) {
        output.printJson(dryRunJson(run));
      } else {
        output.print(renderDryRun(run, output.size().columns, output.style).join("\n"));
      }
    });
  addExamples(decide, [
    ["gpu-pool decide", "inputs, rule, sentence and actions"],
    ["gpu-pool decide --pool nightly", "another pool, by the settings that rule it"],
    ["gpu-pool decide --json | jq .actions", "for programs"],
  ]);
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
