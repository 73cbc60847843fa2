import { describe, expect, it } from "vitest";
import { ParamsError } from "../../../src/gpu-worker/tasks/params-error.ts";
import { resolveTask } from "../../../src/gpu-worker/tasks/resolve-task.ts";
import type { Parameter } from "../../../src/task-types/parameters.ts";
import type { TaskType } from "../../../src/task-types/task-type.ts";
import { TASK_TYPES } from "../../../src/task-types/task-types.ts";

/** One of them is wrong for every parameter. */
const ODD = [{ odd: 1 }, -2.5, [[]], "\u{1f3ac}".repeat(60)];

/** Every name of every parameter. */
const fields = TASK_TYPES.flatMap((type) =>
  type.parameters.flatMap((parameter) =>
    [parameter.name, ...parameter.aliases].map((name) => ({ type, parameter, name })),
  ),
);

function errorOf(type: TaskType, params: object): Error | null {
  try {
    resolveTask(type, { params, leaseToken: "a lease" }, null);
    return null;
  } catch (error) {
    return error as Error;
  }
}

function oddValueOf({ kind }: Parameter): unknown {
  return ODD.find((value) => !kind.schema.safeParse(value).success);
}

describe("a wrong value", () => {
  it("exists for every parameter, so that the next test leaves none out", () => {
    const without = fields.filter(({ parameter }) => oddValueOf(parameter) === undefined);
    expect(without.map(({ name }) => name)).toEqual([]);
    expect(fields.length).toBeGreaterThan(800);
  });

  it("is named by its field, with what is allowed and what was given, in each type and under each name", () => {
    for (const { type, parameter, name } of fields) {
      const error = errorOf(type, { [name]: oddValueOf(parameter) });
      expect(error, `${type.name}.${name}`).toBeInstanceOf(ParamsError);
      expect(error?.message).toContain(`params.${name}: expected ${parameter.kind.allowed}, got `);
    }
  });

  it.each(TASK_TYPES.map((type) => [type.name, type] as const))("%s: params that are no object", (_, type) => {
    for (const params of [null, [], "text", 3]) {
      const error = errorOf(type, params as unknown as object);
      expect(error?.message).toMatch(/^params: expected a JSON object, got /);
    }
  });
});
