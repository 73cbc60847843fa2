import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { addTaskFlags, type TaskFlags, tasksFromFlags } from "../../../src/client/commands/tasks/task-flags.ts";

function tasksOf(...args: string[]) {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  addTaskFlags(command);
  command.option("--file <path>");
  command.parse(args, { from: "user" });
  return tasksFromFlags(command.opts<TaskFlags>());
}

describe("tasks as flags", () => {
  it("name the parameters as GPU workers know them, and leave out those that were not given", () => {
    expect(
      tasksOf("--prompt", "a cat", "--negative-prompt", "dogs", "--frames", "24", "--guidance-scale", "7.5"),
    ).toEqual([
      {
        task_type: "generate_video",
        params: { prompt: "a cat", negative_prompt: "dogs", frames: 24, guidance_scale: 7.5 },
      },
    ]);
  });

  it("collect repeated LoRA weights and parameters", () => {
    const [task] = tasksOf(
      "--lora",
      "a.safetensors",
      "--lora",
      "b.safetensors",
      "--param",
      "steps=30",
      "--param",
      "x=a=b",
    );
    expect(task?.params).toEqual({ lora_weights: ["a.safetensors", "b.safetensors"], steps: 30, x: "a=b" });
  });

  it("read a parameter's value as JSON if it is valid JSON", () => {
    const [task] = tasksOf("--param", 'list=[1,"two"]', "--param", "yes=true", "--param", "text=hello there");
    expect(task?.params).toEqual({ list: [1, "two"], yes: true, text: "hello there" });
  });

  it("make as many equal tasks as requested", () => {
    expect(tasksOf("--prompt", "x", "--count", "3", "--priority", "-2")).toEqual(
      Array.from({ length: 3 }, () => ({ task_type: "generate_video", params: { prompt: "x" }, priority: -2 })),
    );
  });

  it.each([
    ["--frames", "3.5"],
    ["--frames", "0"],
    ["--fps", "fast"],
    ["--count", "0"],
    ["--param", "novalue"],
    ["--depends-on", "task 17"],
  ])("refuses %s %s", (flag, value) => {
    expect(() => tasksOf(flag, value)).toThrow(/argument .* is invalid/);
  });

  it("are refused if a file describes the tasks too", () => {
    expect(() => tasksOf("--file", "tasks.json", "--prompt", "x")).toThrow(/cannot be used with/);
  });
});
