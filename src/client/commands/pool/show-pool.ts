import { settingFacts } from "../../../config/setting-facts.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { renderStatus, statusJson } from "../../render/status.ts";
import { refuseUnknown } from "../see/status.ts";
import { createStatusReader } from "../see/status-read.ts";
import { ownSettingLines } from "./config-explain.ts";
import { type ExplainedSettings, readSettings } from "./config-read.ts";

/** The status of a pool, with its own settings and who set them. @throws ClientError, ConfigError, DatabaseError */
export async function showPool(context: Context, options: PoolOptions): Promise<void> {
  const { output } = context;
  const pool = poolName(context, options);
  const reading = await createStatusReader(context.connections, pool)();
  const row = await poolStore(await context.connections.database()).find(pool);
  const own = row === null ? null : await ownSettings(context, pool, row.own);
  if (options.json) {
    const settings = Object.fromEntries((own?.settings ?? []).map(({ name, value }) => [name, value]));
    output.printJson({ ...statusJson(reading), shouldRun: row?.shouldRun ?? false, ownSettings: settings });
  } else {
    const { columns } = output.size();
    const lines = own === null ? [] : ["", ...ownSettingLines(own, Date.now(), columns, output.style)];
    output.print([...renderStatus(reading, columns, output.style), ...lines]);
  }
  await refuseUnknown(context, reading);
}

async function ownSettings(
  context: Context,
  pool: string,
  own: Readonly<Record<string, unknown>>,
): Promise<ExplainedSettings> {
  return await readSettings(
    context,
    pool,
    settingFacts.filter(({ name }) => Object.hasOwn(own, name)),
  );
}
