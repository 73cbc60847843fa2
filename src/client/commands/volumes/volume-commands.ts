import type { Command } from "commander";
import type { Context } from "../../context.ts";
import { addExamples, jsonOption, poolOption, type PoolOptions, wholeNumber } from "../../options.ts";
import type { PrepareOptions } from "./prepare.ts";

const SMALLEST_GB = 10;
const LARGEST_GB = 4096;

export function addVolumeCommands(program: Command, context: Context): void {
  const volume = program.command("volume").description("network volumes, which pods of a pool mount");
  addPrepare(volume, context);
  addList(volume, context);
  addCheck(volume, context);
}

function addPrepare(volume: Command, context: Context): void {
  const prepare = volume
    .command("prepare")
    .description("make the pool's network volume, and lay out there what its workers run")
    .option(
      "--size-gb <n>",
      "size of a new volume (default: 100); a smaller one grows",
      wholeNumber(SMALLEST_GB, LARGEST_GB),
    )
    .option("--data-center <id>", "where a new volume is made (default: where the pool's GPU types are in stock)")
    .option("-y, --yes", "agree to the prices that are shown")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PrepareOptions) => {
      const { prepareVolume } = await import("./prepare.ts");
      await prepareVolume(context, options);
    });
  addExamples(prepare, [
    ["gpu-pool volume prepare", "may be run again: it does only what is missing"],
    ["gpu-pool volume prepare --size-gb 200 --yes", "the volume grows first"],
  ]);
}

function addList(volume: Command, context: Context): void {
  const list = volume
    .command("list")
    .description("the account's network volumes: price, pools that mount them, what was prepared")
    .addOption(jsonOption())
    .action(async (options: { json?: boolean }) => {
      const { listVolumes } = await import("./list.ts");
      await listVolumes(context, options);
    });
  addExamples(list, [["gpu-pool volume list", "a volume costs its price until it is deleted"]]);
}

function addCheck(volume: Command, context: Context): void {
  const check = volume
    .command("check")
    .description("compare what was prepared with the pool's settings; rents nothing")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PoolOptions) => {
      const { checkVolume } = await import("./check.ts");
      await checkVolume(context, options);
    });
  addExamples(check, [["gpu-pool volume check", "exit code 1 if the volume does not fit the settings"]]);
}
