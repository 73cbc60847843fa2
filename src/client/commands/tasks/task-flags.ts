import { type Command, InvalidArgumentError, Option } from "commander";
import type { TaskStatus } from "../../../supabase/task-store.ts";
import { uuid, wholeNumber } from "../../options.ts";
import type { TaskInput } from "./task-input.ts";

export const TASK_STATUSES: readonly TaskStatus[] = ["Queued", "In Progress", "Complete", "Failed", "Cancelled"];

export interface TaskFlags {
  readonly type: string;
  readonly prompt?: string;
  /** The path of a list of prompts, one a line; - is stdin. */
  readonly prompts?: string;
  readonly negativePrompt?: string;
  readonly frames?: number;
  readonly fps?: number;
  readonly width?: number;
  readonly height?: number;
  readonly seed?: number;
  readonly model?: string;
  readonly lora?: readonly string[];
  readonly guidanceScale?: number;
  readonly param?: Readonly<Record<string, unknown>>;
  readonly priority?: number;
  readonly project?: string;
  readonly dependsOn?: string;
  readonly count?: number;
}

/** The flags that describe one task; none of them goes together with --file. */
export function addTaskFlags(command: Command): void {
  const flags = [
    new Option("--type <name>", "task type, of gpu-pool types").default("generate_video"),
    new Option("--prompt <text>", "what to show"),
    new Option("--prompts <path>", "a list of prompts, one a line, for one task each; - is stdin").conflicts("prompt"),
    new Option("--negative-prompt <text>", "what to keep out"),
    new Option("--frames <n>", "length in frames").argParser(wholeNumber(1, 1000)),
    new Option("--fps <n>", "frames per second").argParser(decimal),
    new Option("--width <px>", "in pixels").argParser(wholeNumber(16, 4096)),
    new Option("--height <px>", "in pixels").argParser(wholeNumber(16, 4096)),
    new Option("--seed <n>", "-1 is random").argParser(wholeNumber(-1, Number.MAX_SAFE_INTEGER)),
    new Option("--model <name>", "model to generate with"),
    new Option("--lora <file>", "LoRA weights; may be repeated").argParser(collect),
    new Option("--guidance-scale <n>", "how closely the prompt is followed").argParser(decimal),
    new Option("--param <key=value>", "any other parameter, as JSON if it is any; may be repeated").argParser(assign),
    new Option("--priority <n>", "higher is served first").argParser(wholeNumber(-1_000_000, 1_000_000)),
    new Option("--project <id>", "the project that it counts for").argParser(uuid),
    new Option("--depends-on <id>", "the task that it waits for; the beginning of its id is enough").argParser(
      beginningOfId,
    ),
    new Option("--count <n>", "how many of it").argParser(wholeNumber(1, 100_000)),
  ];
  for (const flag of flags) {
    command.addOption(flag.conflicts("file"));
  }
}

/**
 * The tasks that the flags describe.
 * @param prompts of a list: each is a task; null: there is no list
 */
export function tasksFromFlags(flags: TaskFlags, prompts: readonly string[] | null = null): TaskInput[] {
  return prompts === null ? alike(flags) : prompts.flatMap((prompt) => alike({ ...flags, prompt }));
}

function alike(flags: TaskFlags): TaskInput[] {
  const named = {
    prompt: flags.prompt,
    negative_prompt: flags.negativePrompt,
    frames: flags.frames,
    fps: flags.fps,
    width: flags.width,
    height: flags.height,
    seed: flags.seed,
    model: flags.model,
    lora_weights: flags.lora,
    guidance_scale: flags.guidanceScale,
  };
  const params = {
    ...Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined)),
    ...flags.param,
  };
  const task: TaskInput = {
    task_type: flags.type,
    params,
    ...(flags.priority !== undefined && { priority: flags.priority }),
    ...(flags.project !== undefined && { project_id: flags.project }),
    ...(flags.dependsOn !== undefined && { dependant_on: flags.dependsOn }),
  };
  return Array.from({ length: flags.count ?? 1 }, () => task);
}

function beginningOfId(text: string): string {
  if (!/^[\da-f][\da-f-]{0,35}$/i.test(text)) {
    throw new InvalidArgumentError("Expected a task's id, or its beginning.");
  }
  return text;
}

function decimal(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) {
    throw new InvalidArgumentError("Expected a number.");
  }
  return value;
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

function assign(text: string, before: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  const at = text.indexOf("=");
  if (at < 1) {
    throw new InvalidArgumentError("Expected key=value.");
  }
  const [key, value] = [text.slice(0, at), text.slice(at + 1)];
  return { ...before, [key]: parseValue(value) };
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** `In Progress` as it is typed: `in-progress`. */
export function dashed(status: TaskStatus): string {
  return status.toLowerCase().replace(" ", "-");
}

/** @throws InvalidArgumentError */
export function parseStatuses(text: string): TaskStatus[] {
  const aliases: Readonly<Record<string, TaskStatus>> = { running: "In Progress", completed: "Complete" };
  return text.split(",").map((part) => {
    const name = part.trim().toLowerCase().replaceAll(/[ _]/g, "-");
    const status = aliases[name] ?? TASK_STATUSES.find((each) => dashed(each) === name);
    if (status === undefined) {
      throw new InvalidArgumentError(`Expected some of ${TASK_STATUSES.map(dashed).join(", ")}, separated by commas.`);
    }
    return status;
  });
}
