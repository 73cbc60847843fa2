import { ACCOUNT_SETTINGS } from "../contract/pool-settings.ts";
import type { Variable } from "./kinds.ts";
import { accountVariables, ownVariables } from "./pool-variables.ts";

/** What is known of a setting of a pool or of the account, whatever its value is. */
export interface SettingFacts {
  /** As gpu-pool config takes it. */
  readonly name: string;
  /** Its environment variable, and older names of that. */
  readonly variable: string;
  readonly aliases: readonly string[];
  /** What it does. */
  readonly does: string;
  /** Completes "expected …". */
  readonly allowed: string;
  /** Null: it has none. */
  readonly unit: string | null;
  /** Null: it has none, so it is not set by default. */
  readonly defaultValue: unknown;
  /** It holds for all pools together; only the environment sets it. */
  readonly isAccounts: boolean;
}

/** By the ends of the names, which say the units. */
const UNITS: readonly (readonly [RegExp, string])[] = [
  [/(UsdPerHour|HourlySpendUsd)$/, "USD/h"],
  [/Usd$/, "USD"],
  [/Sec$/, "s"],
  [/Ms$/, "ms"],
  [/Minutes$/, "min"],
  [/PerMinute$/, "1/min"],
  [/Gb$/, "GB"],
  [/Percentile$/, "%"],
  [/(ActiveGpus|ToKeepIdle)$/, "GPUs"],
];

/** Every setting that rules a pool, those of the account last. */
export const settingFacts: readonly SettingFacts[] = Object.values({ ...ownVariables, ...accountVariables }).flatMap(
  (group) => Object.entries<Variable>(group).map(([name, entry]) => factsOf(name, entry)),
);

/** The setting of this name, or of this environment variable. */
export function findSetting(spelling: string): SettingFacts | undefined {
  return settingFacts.find(({ name, variable, aliases }) => [name, variable, ...aliases].includes(spelling));
}

function factsOf(name: string, { name: variable, aliases, description, kind, defaultText }: Variable): SettingFacts {
  return {
    name,
    variable,
    aliases,
    does: description,
    allowed: kind.allowed,
    unit: UNITS.find(([end]) => end.test(name))?.[1] ?? null,
    defaultValue: defaultText === undefined ? null : kind.schema.parse(kind.fromText(defaultText)),
    isAccounts: ACCOUNT_SETTINGS.includes(name),
  };
}
