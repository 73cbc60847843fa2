import type { Command } from "commander";
import { addExamples, type Context, jsonOption, poolName, poolOption, type PoolOptions } from "../../context.ts";
import { describeAlert } from "../../render/alerts.ts";

export function addAlertsCommand(program: Command, context: Context): void {
  const alerts = program
    .command("alerts")
    .description("what needs a person: the alerts of a pool and of the whole account, newest first")
    .option("--all", "also those that are over")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PoolOptions & { all?: boolean }) => {
      const { alertStore } = await import("../../../supabase/alert-store.ts");
      const { output, connections } = context;
      const pool = poolName(context, options);
      const found = await alertStore(await connections.database()).list({ pool, closed: options.all });
      if (options.json) {
        output.printJson(found);
      } else if (found.length === 0) {
        output.note(options.all ? `pool ${pool} never had an alert` : `no alert is open for pool ${pool}`);
      } else {
        output.print(found.map((alert) => describeAlert(alert, Date.now(), output.style)).join("\n\n"));
      }
    });
  addExamples(alerts, [
    ["gpu-pool alerts", "what is open now"],
    ["gpu-pool alerts --all", "also what is over"],
  ]);
}
