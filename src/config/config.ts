import { cut } from "../../supabase/functions/_shared/text.ts";
import { WAIT_SETTINGS } from "../contract/pool-settings.ts";
import { complaintAbout, type Variable } from "./kinds.ts";
import { fileVariable, readSecret, secretsInFiles } from "./secret-files.ts";
import { table } from "./variables.ts";

type Table = typeof table;
type Group<G extends keyof Table> = {
  readonly [K in keyof Table[G]]: Table[G][K] extends Variable<infer T> ? T : never;
};

/** Every setting, validated and frozen. Names carry their unit; an optional setting that is not set is `undefined`. */
export type Config = { readonly [G in keyof Table]: Group<G> };

export interface ConfigProblem {
  readonly variable: string;
  readonly message: string;
}

/** Lists all problems of a configuration at once. No message holds the value of a secret. */
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
const ADVICE = "Set these variables in the environment; .env.example lists them all.";
type CredentialGroup = "supabase" | "runpod";
/** database: the group supabase without the public key, which only workers need. */
type Need = CredentialGroup | "database";
type Needed<N extends Need> = Omit<Config, Exclude<CredentialGroup, N>> &
  ("database" extends N ? { readonly supabase: Omit<Config["supabase"], "anonKey"> } : unknown);

/**
 * Reads the whole configuration from environment variables; an empty one counts as unset. A secret may be in a file.
 * @param options `need`: the groups of credentials to read. The others are not required, and not in the result.
 * @throws ConfigError listing every variable that is missing, unreadable or in conflict.
 */
export function loadConfig(env?: Environment): Config;
export function loadConfig<const N extends Need>(env: Environment, options: { need: readonly N[] }): Needed<N>;
export function loadConfig(given: Environment = process.env, options?: { need: readonly Need[] }): unknown {
  const files = secretsInFiles(given);
  const env = { ...given, ...files.values };
  const isLeftOut = (group: string) => options !== undefined && !options.need.some((name) => groupOf(name) === group);
  const leftOut = (["supabase", "runpod"] as const).filter(isLeftOut);
  const needsPublicKey = options === undefined || options.need.includes("supabase");
  const problems: ConfigProblem[] = [...files.problems];
  const groups = Object.entries(table).map(([group, entries]) => {
    const needed = !leftOut.some((name) => name === group);
    const isNeeded = (entry: Variable) => needed && (needsPublicKey || entry !== table.supabase.anonKey);
    const values = Object.entries<Variable>(entries).map(([key, entry]) => [
      key,
      read(entry, env, isNeeded(entry), problems),
    ]);
    return { group, needed, values: Object.freeze(Object.fromEntries(values)) };
  });
  const config = Object.fromEntries(groups.filter(({ needed }) => needed).map(({ group, values }) => [group, values]));
  const { minActiveGpus, maxActiveGpus } = table.scaling;
  problems.push(...minAboveMax(config["scaling"], minActiveGpus.name, maxActiveGpus.name));
  problems.push(...severalWaitSettings(config["scaling"], (name) => table.scaling[name].name));
  if (problems.length > 0) {
    throw new ConfigError("The environment", problems, ADVICE);
  }
  return Object.freeze(config);
}

function groupOf(need: Need): CredentialGroup {
  return need === "database" ? "supabase" : need;
}

/**
 * Gives each secret that is in a file to its own variable, and takes the variable that names the file away. Each program
 * does this first, so that all its readers of the environment, Temporal's SDK too, find the secrets in one place.
 * @throws ConfigError for files that cannot be used, and secrets that are set both ways
 */
export function takeSecretsFromFiles(env: Record<string, string | undefined> = process.env): void {
  const { values, problems } = secretsInFiles(env);
  if (problems.length > 0) {
    throw new ConfigError("The environment", problems, ADVICE);
  }
  for (const [name, value] of Object.entries(values)) {
    env[name] = value;
    delete env[fileVariable(name)];
  }
}

/**
 * A variable of this process that the table does not list, such as one that WORKER_ENV passes on to pods. It too may be in
 * a file, which is read at each call.
 * @throws ConfigError when the file cannot be used
 */
export function ownVariable(name: string, env: Environment = process.env): string | undefined {
  const [value, path] = [env[name], env[fileVariable(name)]?.trim()];
  if (value || !path) {
    return value;
  }
  const read = readSecret(fileVariable(name), path);
  if ("problem" in read) {
    throw new ConfigError("The environment", [{ variable: fileVariable(name), message: read.problem }], null);
  }
  return read.value;
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

// A long value in a wrong variable is most often a key, so the message shows only its start.
function show({ name, value }: { name: string; value: string }, { secret: isSecret }: Variable): string {
  if (isSecret) {
    return `${name}=(secret of ${value.length} characters)`;
  }
  return `${name}=${value.length > 64 ? `${cut(value, 16)}… (${value.length} characters)` : value}`;
}

/** The problem of a MIN above MAX, or none. `minName` and `maxName` are the names that its message uses. */
export function minAboveMax(
  values: Readonly<Record<string, unknown>> | undefined,
  minName: string,
  maxName: string,
): ConfigProblem[] {
  const { minActiveGpus: min, maxActiveGpus: max } = values ?? {};
  if (typeof min !== "number" || typeof max !== "number" || min <= max) {
    return [];
  }
  return [{ variable: minName, message: `${minName}=${min} is above ${maxName}=${max}; expected at most ${max}` }];
}

type WaitSetting = (typeof WAIT_SETTINGS)[number];

/** The problem of more than one setting that says what waiting is worth, or none. */
export function severalWaitSettings(
  values: Readonly<Record<string, unknown>> | undefined,
  nameOf: (setting: WaitSetting) => string,
): ConfigProblem[] {
  const given = WAIT_SETTINGS.filter((setting) => (values?.[setting] ?? null) !== null);
  if (given.length < 2) {
    return [];
  }
  const shown = given.map((setting) => `${nameOf(setting)}=${String(values?.[setting])}`).join(" and ");
  const names = WAIT_SETTINGS.map(nameOf).join(", ");
  const message = `${shown} each say what waiting is worth; expected at most one of ${names}`;
  return [{ variable: nameOf(given[1] ?? "waitValue"), message }];
}
