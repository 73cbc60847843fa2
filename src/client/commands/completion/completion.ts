import type { Command } from "commander";
import { LOG_LEVELS } from "../../../contract/log-levels.ts";
import { POOL_SETTINGS } from "../../../contract/pool-settings.ts";
import type { Context } from "../../context.ts";
import { taskTypeTable } from "../../own-types.ts";
import { placesOf } from "./places.ts";
import { completionScript, type Shell } from "./scripts.ts";

/** Prints the script with which a shell completes the commands of `program`. It holds what is known without a server. */
export async function printCompletion(context: Context, program: Command, shell: Shell): Promise<void> {
  const { types } = await taskTypeTable(context);
  const names = types.map(({ name }) => name);
  const assigned = POOL_SETTINGS.map((name) => `${name}=`);
  const places = placesOf(program, {
    "submit --type": names,
    "tasks --type": names,
    types: names,
    "tasks generate": names,
    "config set": assigned,
    "config unset": POOL_SETTINGS,
    "config get": POOL_SETTINGS,
    "config explain": POOL_SETTINGS,
    decide: assigned,
    scale: ["auto"],
    "--status": ["queued", "in-progress", "complete", "failed", "cancelled"],
    "--level": LOG_LEVELS.map((level) => level.toLowerCase()),
  });
  context.output.print(completionScript(shell, places));
}
