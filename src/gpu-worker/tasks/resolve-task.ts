import { createHash } from "node:crypto";
import type { Grid } from "../../task-types/grid.ts";
import { isObject } from "../../task-types/levels.ts";
import { resolveParameters } from "../../task-types/resolve.ts";
import type { TaskType } from "../../task-types/task-type.ts";
import { fieldsWithoutMeaning } from "../../task-types/unknown-fields.ts";
import type { NotHonoured } from "../engines/engine.ts";
import type { ClaimedTask } from "../queue/queue.ts";
import { ParamsError } from "./params-error.ts";

export interface ResolvedTask {
  /** The type's parameters by their names, defaults included. `seed` is never -1. */
  readonly values: Readonly<Record<string, unknown>>;
  /** The fields of `params` that gave each value; none: it is a default. */
  readonly given: ReadonlyMap<string, readonly string[]>;
  /** Fields of `params` that the type does not have, and fields of the objects within it that no type has. */
  readonly unknown: readonly string[];
  /** The names of the type's parameters. */
  readonly names: ReadonlySet<string>;
}

/**
 * Checks a task's `params`. A null value counts as not given.
 * @param grid what sizes and lengths are cut to; null: that of the task's model
 * @throws ParamsError naming every field that is wrong, what is expected, and what was given.
 */
export function resolveTask(
  type: TaskType,
  { params, leaseToken }: Pick<ClaimedTask, "params" | "leaseToken">,
  grid: Grid | null,
): ResolvedTask {
  const resolution = resolveParameters(type, params, grid ?? undefined);
  if (!resolution.ok) {
    throw new ParamsError(resolution.problems.map(({ field, what }) => `${field}: ${what}`).join("; "));
  }
  const entries = Object.entries(resolution.values);
  const value = (name: string, given: unknown) => (name === "seed" ? chooseSeed(Number(given), leaseToken) : given);
  return {
    values: Object.fromEntries(entries.map(([name, resolved]) => [name, value(name, resolved.value)])),
    given: new Map(entries.map(([name, { from }]) => [name, from])),
    unknown: isObject(params) ? fieldsWithoutMeaning(type, params) : [],
    names: new Set(type.parameters.map(({ name }) => name)),
  };
}

/**
 * What the result says of parameters without effect: those that were given, by the names that they were given, and fields that
 * the type does not have.
 */
export function notHonouredOf({ given, unknown, names }: ResolvedTask, without: readonly NotHonoured[]): NotHonoured[] {
  return [
    ...without.flatMap(({ param, reason }) => {
      const fields = given.get(param) ?? (names.has(param) ? [] : [param]);
      return fields.map((field) => ({ param: field.replace(/^params\./, ""), reason }));
    }),
    ...unknown.map((param) => ({ param, reason: "no parameter of this name is known" })),
  ];
}

/**
 * The seed to render with. A random seed is derived from the lease token: when a worker dies before completing and
 * the render is repeated in the same attempt, it gives the same file again.
 */
export function chooseSeed(seed: number, leaseToken: string): number {
  if (seed !== -1) {
    return seed;
  }
  return createHash("sha256").update(leaseToken).digest().readUInt32BE(0) >>> 1;
}
