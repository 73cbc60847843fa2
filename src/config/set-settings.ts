import { suggestion } from "../contract/nearest-names.ts";
import { type PoolSettings, withOwn } from "../contract/pool-settings.ts";
import { ConfigError, type ConfigProblem, minAboveMax, severalWaitSettings } from "./config.ts";
import { complaintAbout, type Variable } from "./kinds.ts";
import { accountVariables, ownVariables } from "./pool-variables.ts";

const entries: ReadonlyMap<string, readonly [string, Variable]> = new Map(
  Object.values({ ...ownVariables, ...accountVariables }).flatMap((group) =>
    Object.entries<Variable>(group).flatMap(([name, entry]) =>
      [name, entry.name, ...entry.aliases].map((spelling) => [spelling, [name, entry]] as const),
    ),
  ),
);

/**
 * Settings with some of them replaced, each by the name of its variable or by its name in a pool's settings.
 * @throws ConfigError listing every unknown name, every value out of range and what is given twice.
 */
export function withSettings(settings: PoolSettings, given: Readonly<Record<string, string>>): PoolSettings {
  const problems: ConfigProblem[] = [];
  const changed: Record<string, unknown> = {};
  for (const [spelling, text] of Object.entries(given)) {
    const found = entries.get(spelling);
    if (found === undefined) {
      const near = suggestion(spelling, [...entries.keys()], "none has a name like it");
      problems.push({ variable: spelling, message: `${spelling} is not a setting of a pool: ${near}` });
      continue;
    }
    const [name, { kind }] = found;
    if (Object.hasOwn(changed, name)) {
      problems.push({ variable: spelling, message: `${spelling}=${text}: ${name} is given twice` });
    }
    const value = kind.fromText(text);
    const parsed = kind.schema.safeParse(value);
    if (parsed.success) {
      changed[name] = parsed.data;
    } else {
      const complaint = complaintAbout(kind, parsed.error, value);
      problems.push({ variable: spelling, message: `${spelling}=${text}: ${complaint}` });
    }
  }
  const result = withOwn(settings, changed);
  if (problems.length === 0) {
    problems.push(...minAboveMax(result, "minActiveGpus", "maxActiveGpus"));
    problems.push(...severalWaitSettings(result, (name) => name));
  }
  if (problems.length > 0) {
    throw new ConfigError("What was set", problems, "docs/configuration.md lists the settings.");
  }
  return Object.freeze(result);
}
