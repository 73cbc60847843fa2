import { shortJson } from "../../supabase/functions/_shared/text.ts";
import { z } from "zod";
import { SIDE } from "./generation-parameters.ts";
import * as kinds from "./kinds.ts";
import { optional, required, type Parameter } from "./parameters.ts";
import type { TaskType } from "./task-type.ts";
import { TASK_TYPES } from "./task-types.ts";

/** What a module of own task types gets, so that it imports nothing. */
export const OWN_TYPE_KIT = { required, optional, kinds };

/** A type that a module adds, and its code. */
export interface OwnType {
  readonly type: TaskType;
  /** A function; how it is called, the GPU worker says. */
  readonly handle: (run: never) => unknown;
  /** What the worker's engine must be able to do. */
  readonly jobs: readonly string[];
}

/** Task types, own ones among them, by their names and aliases. */
export interface TypeTable {
  readonly types: readonly TaskType[];
  find(name: string): TaskType | undefined;
}

const NAME = /^[a-z][a-z0-9_]{0,62}$/;
const name = z.string().regex(NAME, "a name of at most 63 small letters, digits and underscores is expected");
const JOBS = ["generate", "pose", "depth", "flow", "interpolate", "upscale"] as const;

const parameter = z.custom<Parameter>(
  (value) => {
    const { name: given, kind } = (value ?? {}) as Partial<Parameter>;
    return (
      typeof given === "string" && typeof kind?.allowed === "string" && typeof kind.schema?.safeParse === "function"
    );
  },
  { error: "a parameter made by required(…) or optional(…) is expected" },
);
const ownType = z.strictObject({
  name,
  aliases: z.array(name).default([]),
  kind: z.enum(["direct", "composite", "utility"]).default("utility"),
  meaning: z.string().min(1),
  parameters: z.array(parameter),
  oneOf: z.array(z.array(z.string())).default([]),
  model: z.string().nullable().default(null),
  needs: z.array(z.enum(["engine", "ffmpeg", "network"])).default([]),
  jobs: z.array(z.enum(JOBS)).default([]),
  stuckTimeoutSec: z.int().min(1).nullable().default(null),
  expectedSec: z.number().positive().nullable().default(null),
  handle: z.custom<OwnType["handle"]>((value) => typeof value === "function", { error: "a function is expected" }),
});

/** A module of own task types is wrong. */
export class OwnTypesError extends Error {
  override readonly name = "OwnTypesError";
}

/**
 * The types of a module: what its function `taskTypes` answers.
 * @param exported what the module exports
 * @param where as an error names it, such as its path
 * @throws OwnTypesError naming the module, the type, the field and what is expected
 */
export function readOwnTypes(exported: unknown, where: string): OwnType[] {
  const make = (exported as { readonly taskTypes?: unknown }).taskTypes;
  if (typeof make !== "function") {
    throw new OwnTypesError(`${where}: it exports no function taskTypes`);
  }
  let given: unknown;
  try {
    given = (make as (kit: typeof OWN_TYPE_KIT) => unknown)(OWN_TYPE_KIT);
  } catch (error) {
    throw new OwnTypesError(`${where}: taskTypes failed: ${String(error)}`, { cause: error });
  }
  if (!Array.isArray(given)) {
    throw new OwnTypesError(`${where}: taskTypes has to answer a list of types, not ${shortJson(given, 80)}`);
  }
  return given.map((each: unknown, index) => {
    const read = ownType.safeParse(each);
    if (!read.success) {
      const called = shortJson((each as { readonly name?: unknown } | null)?.name ?? index, 80);
      const problems = read.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
      throw new OwnTypesError(`${where}: type ${called}: ${problems}`);
    }
    const { handle, jobs, ...type } = read.data;
    return { handle, jobs, type: { ...type, side: SIDE, doers: ["gpu-worker"] } };
  });
}

/**
 * The table with own types added.
 * @throws OwnTypesError where a name or an alias is taken: two programs would do different things for one name
 */
export function tableWith(own: readonly TaskType[]): TypeTable {
  const byName = new Map<string, TaskType>();
  for (const type of [...TASK_TYPES, ...own]) {
    for (const each of [type.name, ...type.aliases]) {
      if (byName.has(each)) {
        throw new OwnTypesError(`the own type ${type.name} takes the name ${each}, which another type has`);
      }
      byName.set(each, type);
    }
  }
  return { types: [...TASK_TYPES, ...own], find: (each) => byName.get(each) };
}
