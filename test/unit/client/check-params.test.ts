import { describe, expect, it } from "vitest";
import { checkTasks, unknownTypes, unknownTypeWarning } from "../../../src/client/commands/tasks/check-params.ts";
import type { TaskInput } from "../../../src/client/commands/tasks/task-input.ts";
import type { ClientError } from "../../../src/client/errors.ts";
import { createStyle } from "../../../src/client/render/output.ts";
import { renderResolved } from "../../../src/client/render/resolved-task.ts";
import { renderTaskType, renderTaskTypes } from "../../../src/client/render/task-types.ts";
import { findTaskType, TASK_TYPES } from "../../../src/task-types/task-types.ts";

const bare = createStyle(false);
const NO_TYPES: ReadonlyMap<string, string | null> = new Map();

function task(type: string, params: Record<string, unknown>): TaskInput {
  return { task_type: type, params };
}

function refusal(tasks: readonly TaskInput[], source: string | null, ownTypes = NO_TYPES): ClientError {
  try {
    checkTasks(tasks, source, ownTypes);
  } catch (error) {
    return error as ClientError;
  }
  throw new Error("nothing was refused");
}

describe("the parameters of a submission", () => {
  it("are refused with the field, what is allowed and the value, before anything is sent", () => {
    const wrong = task("t2v", { prompt: "x", steps: 0 });
    const { message, advice, exitCode } = refusal([wrong, wrong], null);
    expect(message).toBe("params.steps: expected an integer between 1 and 1000, got 0");
    expect(advice).toBe("Nothing was submitted. What is allowed: gpu-pool types t2v");
    expect(exitCode).toBe(2);
  });

  it("are refused with the number of the task in a file, and at most three at once", () => {
    const tasks = [
      task("t2v", { prompt: "x" }),
      task("video_generation", { frames: "24", fps: 0 }),
      task("vace", { prompt: 7 }),
    ];
    const { message, advice } = refusal(tasks, "tasks.jsonl");
    expect(message).toBe(
      "tasks.jsonl: task 2: params.prompt: expected a text that is not empty, got nothing; " +
        'task 2: params.frames: expected an integer between 1 and 1000, got "24"; ' +
        "task 2: params.fps: expected a number between 1 and 120, got 0; and 2 more",
    );
    expect(advice).toBe("Nothing was submitted. What is allowed: gpu-pool types generate_video, gpu-pool types vace");
  });

  it("of a type that nobody knows pass, and a warning says so unless the database knows it", () => {
    const tasks = [task("make_tea", { cups: "many" }), task("t2v", { prompt: "x" })];
    expect(unknownTypes(tasks)).toEqual(["make_tea"]);
    expect(checkTasks(tasks, null, NO_TYPES)[0]).toEqual({ task: tasks[0], count: 1, known: null });
    expect(unknownTypeWarning(["make_tea"], NO_TYPES)).toMatch(/^make_tea: neither .* nor the database's task_types/);
    expect(unknownTypeWarning(["make_tea"], new Map([["make_tea", null]]))).toBeNull();
    expect(unknownTypeWarning([], NO_TYPES)).toBeNull();
  });

  it("that the database cannot store are refused before anything is sent or shown", () => {
    const deep = JSON.parse(`${"[".repeat(5_000)}${"]".repeat(5_000)}`) as unknown;
    for (const type of ["t2v", "make_tea"]) {
      const { message, advice } = refusal([task(type, { prompt: "x", tea: deep })], null);
      expect(message).toBe("params.tea is nested too deeply: at most 500 levels can be stored");
      expect(advice).toBe("Nothing was submitted.");
    }
  });

  it("with a number that JavaScript does not have are refused, because it would be sent as nothing", () => {
    const params = JSON.parse('{"prompt": "x", "tea": [{"cups": 1e400}]}') as Record<string, unknown>;
    expect(refusal([task("make_tea", params)], null).message).toBe(
      "params.tea: numbers up to 9007199254740991 are expected, or a text",
    );
  });

  it("warn of types that nobody knows in one short line", () => {
    const types = Array.from({ length: 60_000 }, (_, n) => `${"x".repeat(1_000)}${n}`);
    expect(unknownTypeWarning(types, NO_TYPES)!.length).toBeLessThan(2_000);
  });

  it("of an alias that the database alone knows are those of its type", () => {
    const ownTypes = new Map([["tea_video", "t2v"]]);
    expect(refusal([task("tea_video", {})], null, ownTypes).message).toContain("params.prompt: expected");
  });

  it("are shown with where each comes from, cut to the width", () => {
    const params = { prompt: "a cat", frames: 84, steps: 9, tea: { green: true } };
    const [checked] = checkTasks([task("t2v", params)], null, NO_TYPES);
    const lines = renderResolved(checked!.known!.resolution, 120, bare);
    const row = (name: string) => lines.find((line) => line.startsWith(name))?.replaceAll(/ {2,}/g, "|");
    expect(row("PARAMETER")).toBe("PARAMETER|VALUE|FROM");
    expect(row("prompt")).toBe('prompt|"a cat"|params.prompt');
    expect(row("video_length")).toBe("video_length|81|params.frames (84): t2v makes lengths of 4n+1 frames");
    expect(row("num_inference_steps")).toBe("num_inference_steps|9|params.steps");
    expect(row("seed")).toBe("seed|-1|default");
    expect(row("tea")).toBe('tea|{"green":true}|no parameter of the type; kept');
    expect(Math.max(...renderResolved(checked!.known!.resolution, 60, bare).map((line) => line.length))).toBe(60);
  });
});

describe("the printed table of task types", () => {
  it("has a line for each type, with what it needs and who does it", () => {
    const lines = renderTaskTypes(TASK_TYPES, 200, bare);
    expect(lines).toHaveLength(TASK_TYPES.length + 1);
    const row = (name: string) => lines.find((line) => line.startsWith(`${name} `))?.replaceAll(/ {2,}/g, "|");
    expect(row("generate_video")).toBe(
      "generate_video (video_generation)|direct|t2v|engine|ours, Wan2GP|a video from a text",
    );
    expect(row("single_image")).toContain("|ours, old Wan2GP|");
    expect(row("travel_orchestrator")).toContain("|orchestrator|vace_14B_cocktail_2_2|-|ours, Wan2GP|");
    expect(row("dp_final_gen")).toContain("|engine ffmpeg|ours, old Wan2GP|");
    expect(row("upscaling")).toContain("|engine ffmpeg|ours|");
    const [head = ""] = renderTaskTypes(TASK_TYPES, 120, bare);
    expect(head.split(/ {2,}/)).toEqual(["TYPE", "KIND", "MODEL", "NEEDS", "DONE BY"]);
  });

  it("of one type has its parameters, what is allowed, defaults and other names", () => {
    const lines = renderTaskType(findTaskType("image_inpaint")!, 200, bare);
    expect(lines[0]).toBe("image_inpaint: direct, a picture with a part filled anew, by Qwen");
    const row = (name: string) => lines.find((line) => line.startsWith(`${name} `))?.replaceAll(/ {2,}/g, "|");
    expect(row("image")).toBe("image|the URL or path of a file|required|image_url|the picture to edit");
    expect(row("video_length")).toMatch(/^video_length\|an integer between 1 and 10000\|always 1\|frames\|/);
    expect(renderTaskType(findTaskType("travel_stitch")!, 200, bare)).toContain("stuck after 7200 s without progress");
    expect(renderTaskType(findTaskType("i2v")!, 200, bare)).toContain("at least one of image_start, video_source");
  });
});
