import { z } from "zod";
import { shortJson } from "../../supabase/functions/_shared/text.ts";
import { suggestion } from "../contract/nearest-names.ts";
import { type Merged, type OwnSettings, type PoolSettings, withOwn } from "../contract/pool-settings.ts";
import { type Config, ConfigError, type ConfigProblem, minAboveMax, severalWaitSettings } from "./config.ts";
import { complaintAbout, type Variable } from "./kinds.ts";
import { accountVariables, ownVariables } from "./pool-variables.ts";

const SHOWN_CHARS = 500;
const LISTED = "gpu-pool config explain lists the settings; docs/configuration.md too.";

type Variables = Readonly<Record<string, Variable>>;
type Entries = readonly (readonly [string, unknown])[];

const groups = { ...ownVariables, ...accountVariables };
const own: Variables = merged(ownVariables);
const all: Variables = merged(groups);

/** The groups of the configuration that rule a pool. */
export type PoolGroups = Pick<Config, keyof typeof groups>;

/**
 * Checks a pool's own settings, JSON values by name.
 * @throws ConfigError listing every unknown name and every value out of range.
 */
export function parseOwnSettings(given: unknown): OwnSettings {
  const object = z.record(z.string(), z.unknown()).safeParse(given);
  if (!object.success) {
    const message = `expected an object of settings, got ${shortJson(given, SHOWN_CHARS)}`;
    throw ownSettingsError([{ variable: "config", message }]);
  }
  const problems = problemsOf(Object.entries(object.data));
  if (problems.length === 0) {
    problems.push(...minAboveMax(object.data, "minActiveGpus", "maxActiveGpus"));
    problems.push(...severalWaitSettings(object.data, (name) => name));
  }
  if (problems.length > 0) {
    throw ownSettingsError(problems);
  }
  return Object.freeze(object.data);
}

/**
 * This process's settings for every pool, as `pools.environment` holds them: JSON without secrets, null where a setting
 * is not set.
 */
export function environmentSettings(config: PoolGroups): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = { ...valuesIn(config) };
  return Object.fromEntries(Object.keys(all).map((name) => [name, values[name] ?? null]));
}

/**
 * The settings that rule a pool. Each comes from the first of these that has it:
 * 1. `poolsOwn`, the pool's own settings, from its row;
 * 2. `environment`, the environmentSettings of the process that started last, also from its row;
 * 3. `config`, this process's.
 * A pool that says itself what waiting is worth takes none of the other settings that say it.
 * Another version may have written the row: a name, or a value of `environment`, that this one does not know is left out.
 * @throws ConfigError when the pool's own settings hold a known name with a value out of range.
 */
export function settingsInForce(config: PoolGroups, environment: unknown, poolsOwn: unknown): PoolSettings {
  const fromEnvironment = knownEntries(all, environment).filter(([name, value]) => isReadable(all[name], value));
  const fromPool = knownEntries(own, poolsOwn);
  const problems = problemsOf(fromPool);
  if (problems.length > 0) {
    throw ownSettingsError(problems);
  }
  const environments = Object.fromEntries(fromEnvironment.map(([name, value]) => [name, value ?? undefined]));
  return Object.freeze(withOwn({ ...valuesIn(config), ...environments }, Object.fromEntries(fromPool)));
}

function isReadable(entry: Variable | undefined, value: unknown): boolean {
  return (value === null && entry?.presence === "optional") || entry?.kind.schema.safeParse(value).success === true;
}

function valuesIn(config: PoolGroups): PoolSettings {
  const names = Object.keys(groups) as (keyof PoolGroups)[];
  return merged(Object.fromEntries(names.map((name) => [name, config[name]])) as PoolGroups);
}

function merged<G extends object>(perGroup: G): Merged<G> {
  return Object.assign({}, ...Object.values(perGroup));
}

function ownSettingsError(problems: readonly ConfigProblem[]): ConfigError {
  const isNameWrong = problems.some(({ variable }) => entryOf(all, variable) === undefined);
  return new ConfigError("The pool's configuration", problems, isNameWrong ? LISTED : null);
}

function problemsOf(given: Entries): ConfigProblem[] {
  return given.flatMap(([name, value]): ConfigProblem[] => {
    const entry = entryOf(own, name);
    if (entry === undefined) {
      const why = entryOf(all, name)
        ? "it is the account's, set by the Temporal worker's environment"
        : suggestion(name, Object.keys(own), "none has a name like it");
      return [{ variable: name, message: `${name} is not a setting that a pool may override: ${why}` }];
    }
    const { error } = entry.kind.schema.safeParse(value);
    if (error === undefined) {
      return [];
    }
    const complaint = complaintAbout(entry.kind, error, value);
    return [{ variable: name, message: `${name}=${shortJson(value, SHOWN_CHARS)}: ${complaint}` }];
  });
}

function knownEntries(known: Variables, given: unknown): Entries {
  const object = z.record(z.string(), z.unknown()).safeParse(given);
  return Object.entries(object.data ?? {}).filter(([name]) => entryOf(known, name));
}

// A plain look-up would also find inherited names such as "constructor".
function entryOf(known: Variables, name: string): Variable | undefined {
  return Object.hasOwn(known, name) ? known[name] : undefined;
}
