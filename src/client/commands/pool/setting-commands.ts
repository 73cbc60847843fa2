import type { Command } from "commander";
import type { Context } from "../../context.ts";
import { addExamples, jsonOption, poolOption, type PoolOptions } from "../../options.ts";
import type { ScheduleOptions } from "./schedule.ts";

export function addSettingCommands(program: Command, context: Context): void {
  addConfig(program, context);
  addSchedule(program, context);
}

function addConfig(program: Command, context: Context): void {
  const config = program
    .command("config")
    .description("the settings that rule a pool, and where each is from; set and unset change the pool's own")
    .argument("[key...]", "only these")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (keys: readonly string[], options: PoolOptions) => {
      const { showSettings } = await import("./config.ts");
      await showSettings(context, options, keys);
    });
  addConfigReaders(config, context);
  const set = config
    .command("set")
    .description("give the pool settings of its own; they hold at once and survive restarts")
    .argument("<key=value...>", "names as gpu-pool config shows them; a value that is no JSON is text")
    .action(async (pairs: readonly string[], _, command: Command) => {
      const [{ reconfigure }, { parsePairs }] = await Promise.all([
        import("./config.ts"),
        import("../../setting-pairs.ts"),
      ]);
      await reconfigure(context, command.optsWithGlobals(), parsePairs(pairs));
    });
  const unset = config
    .command("unset")
    .description("take settings away from the pool: those of the environment hold again")
    .argument("<key...>", "names as gpu-pool config shows them")
    .action(async (keys: readonly string[], _, command: Command) => {
      const { reconfigure } = await import("./config.ts");
      await reconfigure(context, command.optsWithGlobals(), Object.fromEntries(keys.map((key) => [key, null])));
    });
  addExamples(config, [
    ["gpu-pool config", "all settings in force"],
    ["gpu-pool config --json | jq .settings.values.maxActiveGpus", "one of them"],
  ]);
  addExamples(set, [
    ["gpu-pool config set maxActiveGpus=4 scaleDownIdleSec=30", "two settings at once, or neither"],
    ["gpu-pool config set policy=workload --pool nightly", "another policy, from the next look on"],
  ]);
  addExamples(unset, [
    ["gpu-pool config unset maxActiveGpus", "MAX_ACTIVE_GPUS holds again"],
    ["gpu-pool config unset schedules --pool nightly", "another pool"],
  ]);
}

/** They read the pool's row, so they answer for a pool that does not run too. */
function addConfigReaders(config: Command, context: Context): void {
  const get = config
    .command("get")
    .description("the value of one setting, or key=value of several, as set takes them")
    .argument("<key...>", "names as gpu-pool config shows them, or environment variables")
    .action(async (keys: readonly string[], _, command: Command) => {
      const { getSettings } = await import("./config-explain.ts");
      await getSettings(context, command.optsWithGlobals(), keys);
    });
  const explain = config
    .command("explain")
    .description("what settings are and do: value, unit, where it is from, who set it when, default, variable")
    .argument("[key...]", "names as gpu-pool config shows them, or environment variables; none: all")
    .action(async (keys: readonly string[], _, command: Command) => {
      const { explainSettings } = await import("./config-explain.ts");
      await explainSettings(context, command.optsWithGlobals(), keys);
    });
  addExamples(get, [["gpu-pool config get maxActiveGpus", "only the number"]]);
  addExamples(explain, [
    ["gpu-pool config explain", "every setting, one a line"],
    ["gpu-pool config explain MAX_ACTIVE_GPUS scaleDownIdleSec", "all about two of them"],
  ]);
}

function addSchedule(program: Command, context: Context): void {
  const schedule = program
    .command("schedule")
    .description("the windows of the week in which a pool has other sizes, and what holds now or at another time")
    .argument("[key=value...]", "settings to try, as config set takes them; null tries it without one")
    .option("--at <time>", "such as 2027-03-28T01:30, by the windows' own clock, or with Z or an offset")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (pairs: readonly string[], options: ScheduleOptions) => {
      const [{ showSchedule }, { parsePairs }] = await Promise.all([
        import("./schedule.ts"),
        import("../../setting-pairs.ts"),
      ]);
      await showSchedule(context, options, parsePairs(pairs));
    });
  addExamples(schedule, [
    ["gpu-pool schedule", "which window is open, and until when"],
    ["gpu-pool schedule --at 2027-03-28T01:30", "what will hold then, daylight saving included"],
    ["gpu-pool schedule minActiveGpus=1 --at 2027-03-28", "as it would be with another setting; stores nothing"],
  ]);
}
