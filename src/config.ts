import { z } from "zod";
import type { Variable } from "./config/kinds.ts";
import { table } from "./config/variables.ts";

type Table = typeof table;
type Group<G extends keyof Table> = {
  readonly [K in keyof Table[G]]: Table[G][K] extends Variable<infer T> ? T : never;
};

/** Every setting, validated and frozen. Names carry their unit; an optional setting that is not set is `undefined`. */
export type Config = { readonly [G in keyof Table]: Group<G> };
export type ScalingConfig = Config["scaling"];
export type TimeoutsConfig = Config["timeouts"];

/** The settings that a pool's stored configuration may override. */
export type ScalingOverrides = Partial<ScalingConfig & TimeoutsConfig>;

export type ConfigProblem = { readonly variable: string; readonly message: string };

/** Everything that is wrong with a configuration, at once. No message holds the value of a secret. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];

  constructor(subject: string, problems: readonly ConfigProblem[], advice: string) {
    const lines = problems.map(({ message }) => `  - ${message}`);
    super(
      [
        `${subject} ${problems.length === 1 ? "has a problem" : `has ${problems.length} problems`}:`,
        ...lines,
        advice,
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
    problems.push({ variable: first.name, message: `${show(first, entry)}: expected ${entry.kind.allowed}` });
  }
  return parsed.data;
}

// A long value in the wrong variable is most often a key, so only its start is shown.
function show({ name, value }: { name: string; value: string }, { secret: isSecret }: Variable): string {
  if (isSecret) return `${name}=(secret of ${value.length} characters)`;
  return `${name}=${value.length > 64 ? `${value.slice(0, 16)}… (${value.length} characters)` : value}`;
}

function boundsProblems(values: ScalingOverrides | undefined, minName: string, maxName: string): ConfigProblem[] {
  const { minActiveGpus: min, maxActiveGpus: max } = values ?? {};
  if (min === undefined || max === undefined || min <= max) return [];
  return [{ variable: minName, message: `${minName}=${min} is above ${maxName}=${max}; expected at most ${max}` }];
}

/**
 * Checks a pool's stored partial configuration: camelCase keys of `scaling` and `timeouts`, JSON values.
 * @throws ConfigError listing every unknown key and every value out of range.
 */
export function parseScalingOverrides(given: unknown): ScalingOverrides {
  const known: Record<string, Variable> = { ...table.scaling, ...table.timeouts };
  const advice = `Known settings: ${Object.keys(known).join(", ")}.`;
  const object = z.record(z.string(), z.unknown()).safeParse(given);
  if (!object.success) {
    const message = `expected an object of settings, got ${JSON.stringify(given)}`;
    throw new ConfigError("The pool's configuration", [{ variable: "config", message }], advice);
  }
  const problems = Object.entries(object.data).flatMap(([key, value]): ConfigProblem[] => {
    const entry = Object.hasOwn(known, key) ? known[key] : undefined;
    if (!entry) return [{ variable: key, message: `${key} is not a setting that a pool may override` }];
    if (entry.kind.schema.safeParse(value).success) return [];
    return [{ variable: key, message: `${key}=${JSON.stringify(value)}: expected ${entry.kind.allowed}` }];
  });
  problems.push(...(problems.length === 0 ? boundsProblems(object.data, "minActiveGpus", "maxActiveGpus") : []));
  if (problems.length > 0) throw new ConfigError("The pool's configuration", problems, advice);
  return Object.freeze(object.data);
}
