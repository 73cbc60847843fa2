import { rm } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { createPreviewEngine } from "../../../src/gpu-worker/engines/preview/preview-engine.ts";
import { createRouter } from "../../../src/gpu-worker/router.ts";
import { ParamsError } from "../../../src/gpu-worker/tasks/params-error.ts";
import { resolveTask } from "../../../src/gpu-worker/tasks/resolve-task.ts";
import { OBJECT } from "../../../src/task-types/kinds.ts";
import type { Parameter } from "../../../src/task-types/parameters.ts";
import type { TaskType } from "../../../src/task-types/task-type.ts";
import { TASK_TYPES } from "../../../src/task-types/task-types.ts";
import { runFakeTask, temporaryFolder } from "../../kit/gpu-worker/fake-task.ts";

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

  it("is named by the object that holds it, wherever a type looks for values", () => {
    const holders: readonly (readonly string[])[] = [
      ["orchestrator_details"],
      ["full_orchestrator_payload"],
      ["dp_orchestrator_payload", "original_params"],
      ["params"],
    ];
    for (const { type, parameter, name } of fields.filter(({ parameter: each }) => each.kind !== OBJECT)) {
      const places = type.kind === "segment" ? [["individual_segment_params"], ...holders] : holders;
      for (const place of places) {
        const params = place.reduceRight<object>((value, each) => ({ [each]: value }), {
          [name]: oddValueOf(parameter),
        });
        expect(errorOf(type, params)?.message, `${type.name}: ${place.join(".")}.${name}`).toContain(
          `params.${place.join(".")}.${name}: expected ${parameter.kind.allowed}, got `,
        );
      }
    }
  });

  it("fails a task of each type for good, without a file, and leaves nothing behind", async () => {
    const folder = await temporaryFolder();
    try {
      const router = createRouter(createPreviewEngine("ffmpeg"));
      for (const taskType of router.types) {
        const type = TASK_TYPES.find(({ name }) => name === taskType)!;
        const [parameter] = type.parameters;
        const params = { [parameter!.name]: oddValueOf(parameter!) };
        const { end, failure, stored } = await runFakeTask(folder, { taskType, params, router });
        expect({ taskType, end, permanent: failure?.permanent, files: stored.size }).toEqual({
          taskType,
          end: "failed",
          permanent: true,
          files: 0,
        });
        expect(failure?.message).toContain(`params.${parameter!.name}: expected `);
      }
      expect(router.types.length).toBeGreaterThan(35);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it.each(TASK_TYPES.map((type) => [type.name, type] as const))("%s: params that are no object", (_, type) => {
    for (const params of [null, [], "text", 3]) {
      const error = errorOf(type, params as unknown as object);
      expect(error?.message).toMatch(/^params: expected a JSON object, got /);
    }
  });
});
