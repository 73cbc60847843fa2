import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { HANDLERS } from "../../../src/gpu-worker/router.ts";
import { NOT_FOR_THE_ENGINE } from "../../../src/gpu-worker/tasks/graphs/generate.ts";
import { TASK_TYPES } from "../../../src/task-types/task-types.ts";

const ROOMS = ["src/gpu-worker/tasks", "src/task-types/graphs", "src/gpu-worker/debug"];
/** Say where a task is in its graph, for older workers; ours knows by other fields. */
const FOR_OLDER_WORKERS = ["is_first_segment", "is_last_segment", "is_first_join", "is_last_join"];

const code = ROOMS.flatMap((room) =>
  readdirSync(room, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => readFileSync(join(room, name), "utf8")),
).join("\n");

function isRead(name: string): boolean {
  return code.includes(`"${name}"`) || code.includes(`\`${name}\``);
}

describe("a parameter that a type takes", () => {
  it.each(
    TASK_TYPES.filter(({ kind }) => kind !== "direct").map(({ name, parameters }) => [name, parameters] as const),
  )("%s: is used by its handler, or reaches the engine", (taskType, parameters) => {
    const generates = HANDLERS[taskType]?.jobs.includes("generate") ?? false;
    const idle = parameters
      .map(({ name }) => name)
      .filter((name) => !isRead(name) && !(generates && !NOT_FOR_THE_ENGINE.has(name)))
      .filter((name) => !FOR_OLDER_WORKERS.includes(name));
    // An orchestrator's sub-tasks get the rest, as `orchestrator_details`.
    const passedOn = TASK_TYPES.filter(({ kind }) => kind === "segment" || kind === "composite").flatMap((type) =>
      type.parameters.map(({ name }) => name),
    );
    const isOrchestrator = taskType.endsWith("_orchestrator");
    expect(isOrchestrator ? idle.filter((name) => !passedOn.includes(name)) : idle).toEqual([]);
  });
});
