import { poolQueries, poolUpdates, type PoolSettingsAnswer, type SettingsPatch } from "../../../contract/pool-api.ts";
import type { SettingsView } from "../../../contract/plan.ts";
import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { plain, type Style } from "../../render/output.ts";
import { namedSettings } from "./config-read.ts";
import { ownUpdateId } from "../../sender.ts";
import { requireAnswer, updatePool } from "../../pool-workflow.ts";
import { renderTable } from "../../render/table.ts";

/** @param names of the settings to show; none: all. @throws ClientError, ConfigError */
export async function showSettings(context: Context, options: PoolOptions, names: readonly string[]): Promise<void> {
  const shown = names.length === 0 ? null : namedSettings(names).map(({ name }) => name);
  const pool = poolName(context, options);
  show(context, options, await requireAnswer(context, pool, poolQueries.config), shown);
}

export async function reconfigure(context: Context, options: PoolOptions, patch: SettingsPatch): Promise<void> {
  const pool = poolName(context, options);
  const answer = await updatePool(context, pool, "config", (workflow) =>
    workflow.executeUpdate(poolUpdates.reconfigure, { args: [patch], updateId: ownUpdateId() }),
  );
  show(context, options, answer, Object.keys(patch));
}

/** @param names of the settings to show; null: all. */
function show(
  { output }: Context,
  { json }: PoolOptions,
  config: PoolSettingsAnswer,
  names: readonly string[] | null,
): void {
  const { pool, settings } = config;
  if (json) {
    output.printJson(config);
  } else if (settings === null) {
    const advice = "Its controller has not read them yet: try again.";
    throw new ClientError(EXIT.unreachable, `the settings of pool ${pool} are not known yet`, advice);
  } else {
    output.print(renderSettings(settings, names, output.size().columns, output.style));
  }
}

interface Setting {
  readonly name: string;
  readonly value: unknown;
  readonly isOwn: boolean;
}

/** @param names of the settings to show; null: all. */
export function renderSettings(
  { values, own }: { readonly values: object; readonly own: SettingsView["own"] },
  names: readonly string[] | null,
  width: number,
  style: Style,
): string[] {
  const byName = new Map<string, unknown>(Object.entries(values));
  const rows = (names ?? [...byName.keys()]).map((name): Setting => ({
    name,
    value: byName.get(name),
    isOwn: own.includes(name),
  }));
  return renderTable(
    [
      { title: "SETTING", value: ({ name }) => plain(name) },
      { title: "VALUE", value: ({ value }) => showValue(value) },
      {
        title: "FROM",
        value: ({ isOwn }) => (isOwn ? "the pool" : "environment"),
        paint: ({ isOwn }, text) => (isOwn ? style("cyan", text) : text),
      },
    ],
    rows,
    width,
    style,
  );
}

function showValue(value: unknown): string {
  if (value === undefined || value === null) {
    return "-";
  }
  return plain(typeof value === "string" ? value : JSON.stringify(value));
}
