import { settingFacts } from "../../../config/setting-facts.ts";
import { poolQueries } from "../../../contract/pool-api.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import { readView } from "../../../supabase/views.ts";
import type { Context } from "../../context.ts";
import { missingPool } from "../../missing-pool.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { askPool } from "../../pool-workflow.ts";
import { plain } from "../../render/output.ts";
import { headline, labelled } from "../../render/rows.ts";
import { ownSettingLines } from "./config-explain.ts";
import { readSettings } from "./config-read.ts";
import { renderPools } from "./list-pools.ts";

/** A pool as the list has it, its controller, and the settings of its own with who set them. @throws ClientError, DatabaseError */
export async function showPool(context: Context, options: PoolOptions): Promise<void> {
  const { output, connections } = context;
  const pool = poolName(context, options);
  const database = await connections.database();
  const [row, views] = await Promise.all([poolStore(database).find(pool), readView(database, "orchestrator_status")]);
  const listed = views.find((each) => each.pool === pool);
  if (row === null || listed === undefined) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  const own = settingFacts.filter(({ name }) => Object.hasOwn(row.own, name));
  const [settings, asked] = await Promise.all([
    readSettings(context, pool, own),
    askPool(connections, pool, poolQueries.status),
  ]);
  if (options.json) {
    const ownSettings = Object.fromEntries(settings.settings.map(({ name, value }) => [name, value]));
    output.printJson({ ...listed, controller: asked.state, shouldRun: row.shouldRun, ownSettings });
    return;
  }
  const { columns } = output.size();
  const line = labelled(columns, output.style);
  const answers = asked.state === "answers";
  output.print([
    headline(pool, listed.mode ?? "?", columns, output.style),
    line("controller", answers ? asked.answer.phase : plain(asked.reason), answers ? "green" : "yellow"),
    line("shall run", row.shouldRun ? "yes: the janitor starts it again if it is lost" : "no, until pool start"),
    "",
    ...renderPools([listed], columns, output.style),
    "",
    ...ownSettingLines(settings, Date.now(), columns, output.style),
    "",
    "gpu-pool status and gpu-pool explain say more",
  ]);
}
