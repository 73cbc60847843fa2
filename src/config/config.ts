import { z } from "zod";
import { complaintAbout, type Variable } from "./kinds.ts";
import { table } from "./variables.ts";

type Table = typeof table;
type Group<G extends keyof Table> = {
  readonly [K in keyof Table[G]]: Table[G][K] extends Variable<infer T> ? T : never;
};

/** Every setting, validated and frozen. Names carry their unit; an optional setting that is not set is `undefined`. */
export type Config = { readonly [G in keyof Table]: Group<G> };

/** What one pool may be given of its own. */
type PoolOwn = Config["scaling"] & Config["timeouts"] & Config["breaker"];
/** The settings that a pool's stored configuration may override. */
export type ScalingOverrides = Partial<PoolOwn>;
/** Everything that rules a pool. The budget is the account's: no pool overrides it. */
export type PoolSettings = PoolOwn & Config["budget"];
type PoolGroups = Pick<Config, "scaling" | "timeouts" | "breaker" | "budget">;

export interface ConfigProblem {
  readonly variable: string;
  readonly message: string;
}

/** Everything that is wrong with a configuration, at once. No message holds the value of a secret. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(subject: string, problems: readonly ConfigProblem[], advice: string | null) {
    const lines = problems.map(({ message }) => `  - ${message}`);
    super(
      [
        `${subject} ${problems.length === 1 ? "has a problem" : `has ${problems.length} problems`}:`,
        ...lines,
        ...(advice === null ? [] : [advice]),
      ].join("\n"),
    );
    this.name = "ConfigError";
    this.problems = problems;
  }
}

type Environment = Readonly<Record<string, string | undefined>>;
type CredentialGroup = "supabase" | "runpod";

/**
 * Reads the whole configuration from environment variables; an empty one counts as unset.
 * With `need`, the credentials of the groups left out are not required and those groups are not in the result.
 * @throws ConfigError listing every variable that is missing, unreadable or in conflict.
 */
export function loadConfig(env?: Environment): Config;
export function loadConfig<const N extends CredentialGroup>(
  env: Environment,
  options: { need: readonly N[] },
): Omit<Config, Exclude<CredentialGroup, N>>;
export function loadConfig(env: Environment = process.env, options?: { need: readonly CredentialGroup[] }): unknown {
  const leftOut = options ? (["supabase", "runpod"] as const).filter((group) => !options.need.includes(group)) : [];
  const problems: ConfigProblem[] = [];
  const groups = Object.entries(table).map(([group, entries]) => {
    const needed = !leftOut.some((name) => name === group);
    const values = Object.entries<Variable>(entries).map(([key, entry]) => [key, read(entry, env, needed, problems)]);
    return { group, needed, values: Object.freeze(Object.fromEntries(values)) };
  });
  const config = Object.fromEntries(groups.filter(({ needed }) => needed).map(({ group, values }) => [group, values]));
  problems.push(
    ...boundsProblems(config["scaling"], table.scaling.minActiveGpus.name, table.scaling.maxActiveGpus.name),
  );
  if (problems.length > 0) {
    throw new ConfigError(
      "The environment",
      problems,
      "Set these variables in the environment; .env.example lists them all.",
    );
  }
  return Object.freeze(config);
}

function read(entry: Variable, env: Environment, needed: boolean, problems: ConfigProblem[]): unknown {
  const given = [entry.name, ...entry.aliases].flatMap((name) => {
    const value = env[name]?.trim();
    return value ? [{ name, value }] : [];
  });
  const first =
    given[0] ?? (entry.defaultText === undefined ? undefined : { name: entry.name, value: entry.defaultText });
  if (first === undefined) {
    if (entry.presence === "required" && needed) {
      problems.push({
        variable: entry.name,
        message: `${entry.name} is not set; expected ${entry.kind.allowed}. ${entry.description}`,
      });
    }
    return undefined;
  }
  const other = given.find(({ value }) => value !== first.value);
  if (other) {
    problems.push({
      variable: entry.name,
      message: `${show(first, entry)} and ${show(other, entry)} name one setting and differ; set only ${entry.name}`,
    });
  }
  const parsed = entry.kind.schema.safeParse(entry.kind.fromText(first.value));
  if (!parsed.success) {
    const complaint = complaintAbout(entry.kind, parsed.error, entry.kind.fromText(first.value));
    problems.push({ variable: first.name, message: `${show(first, entry)}: ${complaint}` });
  }
  return parsed.data;
}

// A long value in the wrong variable is most often a key, so only its start is shown.
function show({ name, value }: { name: string; value: string }, { secret: isSecret }: Variable): string {
  if (isSecret) {
    return `${name}=(secret of ${value.length} characters)`;
  }
  return `${name}=${value.length > 64 ? `${value.slice(0, 16)}… (${value.length} characters)` : value}`;
}

function boundsProblems(
  values: Record<string, unknown> | undefined,
  minName: string,
  maxName: string,
): ConfigProblem[] {
  const { minActiveGpus: min, maxActiveGpus: max } = values ?? {};
  if (typeof min !== "number" || typeof max !== "number" || min <= max) {
    return [];
  }
  return [{ variable: minName, message: `${minName}=${min} is above ${maxName}=${max}; expected at most ${max}` }];
}

const poolTable: Readonly<Record<string, Variable>> = { ...table.scaling, ...table.timeouts, ...table.breaker };
const ruling: Readonly<Record<string, Variable>> = { ...poolTable, ...table.budget };

/**
 * Checks a pool's stored partial configuration: camelCase keys of `scaling`, `timeouts` and `breaker`, JSON values.
 * @throws ConfigError listing every unknown key and every value out of range.
 */
export function parseScalingOverrides(given: unknown): ScalingOverrides {
  const object = z.record(z.string(), z.unknown()).safeParse(given);
  if (!object.success) {
    const message = `expected an object of settings, got ${JSON.stringify(given)}`;
    throw wrongPoolConfig([{ variable: "config", message }]);
  }
  const problems = overrideProblems(Object.entries(object.data));
  problems.push(...(problems.length === 0 ? boundsProblems(object.data, "minActiveGpus", "maxActiveGpus") : []));
  if (problems.length > 0) {
    throw wrongPoolConfig(problems);
  }
  return Object.freeze(object.data);
}

type Entries = readonly (readonly [string, unknown])[];

function wrongPoolConfig(problems: readonly ConfigProblem[]): ConfigError {
  const isNameWrong = problems.some(({ variable }) => !entryOf(poolTable, variable));
  const advice = isNameWrong ? `Known settings: ${Object.keys(poolTable).join(", ")}.` : null;
  return new ConfigError("The pool's configuration", problems, advice);
}

function overrideProblems(entries: Entries): ConfigProblem[] {
  return entries.flatMap(([key, value]): ConfigProblem[] => {
    const entry = entryOf(poolTable, key);
    if (!entry) {
      const why = entryOf(ruling, key) ? ": it is the account's, set by the Temporal worker's environment" : "";
      return [{ variable: key, message: `${key} is not a setting that a pool may override${why}` }];
    }
    const parsed = entry.kind.schema.safeParse(value);
    if (parsed.success) {
      return [];
    }
    return [
      { variable: key, message: `${key}=${JSON.stringify(value)}: ${complaintAbout(entry.kind, parsed.error, value)}` },
    ];
  });
}

function entryOf(settings: Readonly<Record<string, Variable>>, key: string): Variable | undefined {
  return Object.hasOwn(settings, key) ? settings[key] : undefined;
}

/** What this process's environment says about every pool, as plain JSON without secrets; null: not set. */
export function poolEnvironment({ scaling, timeouts, breaker, budget }: PoolGroups): Readonly<Record<string, unknown>> {
  const values: Record<string, unknown> = { ...scaling, ...timeouts, ...breaker, ...budget };
  return Object.fromEntries(Object.keys(ruling).map((key) => [key, values[key] ?? null]));
}

/**
 * The settings that rule a pool: those of this process, under those of the newest one (poolEnvironment, as the pool's row
 * holds it), under the pool's own. What another version wrote and this one does not know is left out.
 * @throws ConfigError when the pool's own configuration holds a known setting with a value out of range.
 */
export function settingsInForce(config: PoolGroups, environment: unknown, own: unknown): PoolSettings {
  const newest = knownEntries(ruling, environment).filter(
    ([key, value]) =>
      (value === null && ruling[key]?.presence === "optional") || ruling[key]?.kind.schema.safeParse(value).success,
  );
  const poolsOwn = knownEntries(poolTable, own);
  const problems = overrideProblems(poolsOwn);
  if (problems.length > 0) {
    throw wrongPoolConfig(problems);
  }
  const { scaling, timeouts, breaker, budget } = config;
  const laid = [...newest, ...poolsOwn].map(([key, value]) => [key, value ?? undefined]);
  return Object.freeze({ ...scaling, ...timeouts, ...breaker, ...budget, ...Object.fromEntries(laid) });
}

function knownEntries(settings: Readonly<Record<string, Variable>>, given: unknown): Entries {
  const object = z.record(z.string(), z.unknown()).safeParse(given);
  return Object.entries(object.data ?? {}).filter(([key]) => entryOf(settings, key));
}
