import { loadConfig } from "../../../config/config.ts";
import { findSetting, type SettingFacts, settingFacts } from "../../../config/setting-facts.ts";
import { settingsInForce } from "../../../config/settings-in-force.ts";
import { suggestion } from "../../../contract/nearest-names.ts";
import type { PoolSettings } from "../../../contract/pool-settings.ts";
import { settingsAt } from "../../../policy/schedule.ts";
import { environmentSince, type SettingChange, settingChanges } from "../../../supabase/history/setting-changes.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { missingPool } from "../../missing-pool.ts";
import { plain } from "../../render/output.ts";

/** The newest change of a setting is searched among so many changes. */
const SEARCHED_CHANGES = 500;

export interface ExplainedSetting extends SettingFacts {
  /** Null: it is not set. */
  readonly value: unknown;
  /** The value that an open window of the schedule puts in its place now; undefined: none does. */
  readonly now?: unknown;
  /** default: nobody set it, or as it is by default. */
  readonly source: "pool" | "environment" | "default";
  /** The last change of the pool's own value; null: none is journaled, or it has none. */
  readonly changed: Pick<SettingChange, "at" | "by"> | null;
}

export interface ExplainedSettings {
  readonly pool: string;
  /** When the Temporal worker started whose environment holds, ISO 8601; null: none has watched this pool yet. */
  readonly environmentAt: string | null;
  readonly settings: readonly ExplainedSetting[];
}

/** The settings of these names or environment variables; none: all. @throws ClientError naming the nearest ones */
export function namedSettings(names: readonly string[]): readonly SettingFacts[] {
  return names.length === 0 ? settingFacts : names.map(namedSetting);
}

function namedSetting(given: string): SettingFacts {
  const found = findSetting(given);
  if (found === undefined) {
    const known = settingFacts.map(({ name }) => name);
    const advice = suggestion(given, known, "gpu-pool config lists all, gpu-pool config explain says what each does.");
    throw new ClientError(EXIT.usage, `${plain(given)} is no setting`, advice);
  }
  return found;
}

/**
 * Settings of a pool as its row has them, whether it runs or not.
 * @throws ClientError when there is no such pool; ConfigError, DatabaseError
 */
export async function readSettings(
  context: Context,
  pool: string,
  facts: readonly SettingFacts[],
): Promise<ExplainedSettings> {
  const database = await context.connections.database();
  const row = await poolStore(database).find(pool);
  if (row === null) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  const inForce = settingsInForce(loadConfig(context.env, { need: [] }), row.environment, row.own);
  const hasOwn = facts.some(({ name }) => Object.hasOwn(row.own, name));
  const changes = hasOwn ? await settingChanges(database, pool, SEARCHED_CHANGES) : [];
  const explained = facts.map((each) => explainSetting(each, inForce, row.own, changes, Date.now()));
  return { pool, environmentAt: await environmentSince(database, pool), settings: explained };
}

export function explainSetting(
  facts: SettingFacts,
  inForce: PoolSettings,
  own: Readonly<Record<string, unknown>>,
  changes: readonly SettingChange[],
  nowMs: number,
): ExplainedSetting {
  const { name, defaultValue } = facts;
  const value = valueOf(inForce, name);
  const now = valueOf(settingsAt(inForce, nowMs).settings, name);
  const isOwn = Object.hasOwn(own, name);
  const { at, by } = changes.find(({ patch }) => Object.hasOwn(patch, name)) ?? {};
  return {
    ...facts,
    value,
    ...(now !== value && { now }),
    source: isOwn ? "pool" : JSON.stringify(value) === JSON.stringify(defaultValue) ? "default" : "environment",
    changed: isOwn && at !== undefined ? { at, by: by ?? null } : null,
  };
}

function valueOf(settings: PoolSettings, name: string): unknown {
  return new Map<string, unknown>(Object.entries(settings)).get(name) ?? null;
}
