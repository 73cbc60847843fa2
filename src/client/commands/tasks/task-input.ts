import { z } from "zod";
import { shorten, shortJson } from "../../../../supabase/functions/_shared/text.ts";
import { ClientError, EXIT } from "../../errors.ts";

const MAX_PRIORITY = 1_000_000;
const SHOWN_CHARS = 60;
const SHOWN_PROBLEMS = 3;
const LONGEST_PROBLEM_CHARS = 500;

const task = z.strictObject({
  task_type: z.string().min(1),
  params: z.record(z.string(), z.unknown()),
  priority: z.int().min(-MAX_PRIORITY).max(MAX_PRIORITY).optional(),
  project_id: z.guid().optional(),
  dependant_on: z.guid().optional(),
});

const EXPECTED: Readonly<Record<keyof typeof task.shape, string>> = {
  task_type: "a text such as generate_video",
  params: "an object of parameters",
  priority: `a whole number from ${-MAX_PRIORITY} to ${MAX_PRIORITY}`,
  project_id: "the UUID of a project",
  dependant_on: "the UUID of a task",
};

export type TaskInput = z.infer<typeof task>;
interface Given {
  readonly where: string;
  readonly value: unknown;
}

/**
 * Reads tasks from JSON text: one object, an array, or one object a line.
 * @param source named in errors, such as a file's path
 * @throws ClientError naming the line or index and the field of what is wrong
 */
export function parseTasks(text: string, source: string): TaskInput[] {
  const given = readJson(text, source);
  const tasks: TaskInput[] = [];
  const problems: string[] = [];
  for (const { where, value } of given) {
    const parsed = task.safeParse(value);
    if (parsed.success) {
      tasks.push(parsed.data);
    } else {
      problems.push(...parsed.error.issues.map((issue) => `${where}${complaint(issue, value)}`));
    }
  }
  if (problems.length > 0) {
    throw refused(
      source,
      someOf(problems),
      "Nothing was submitted. A task is { task_type, params, priority?, project_id?, dependant_on? }.",
    );
  }
  return tasks;
}

/** The prompts of a list, one a line; empty lines separate. @throws ClientError when there is none */
export function parsePrompts(text: string, source: string): string[] {
  const prompts = text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (prompts.length === 0) {
    throw refused(source, "it has no prompt", "Give one prompt a line.");
  }
  return prompts;
}

/** The first of what may be thousands, each shortened, and how many more there are. */
export function someOf(texts: readonly string[], separator = "; "): string {
  const more = texts.length > SHOWN_PROBLEMS ? [`and ${texts.length - SHOWN_PROBLEMS} more`] : [];
  const shown = texts.slice(0, SHOWN_PROBLEMS).map((text) => shorten(text, LONGEST_PROBLEM_CHARS));
  return [...shown, ...more].join(separator);
}

function readJson(text: string, source: string): Given[] {
  if (text.trim() === "") {
    throw refused(source, "it is empty", "Give one JSON object, an array of them, or one a line.");
  }
  const whole = parseJson(text);
  if (whole.ok) {
    return Array.isArray(whole.value)
      ? whole.value.map((value, index) => ({ where: `[${index}] `, value }))
      : [{ where: "", value: whole.value }];
  }
  const lines = text
    .split("\n")
    .map((line, index) => ({ number: index + 1, line }))
    .filter(({ line }) => line.trim() !== "");
  const isJsonLines = lines.length > 1 && !text.trimStart().startsWith("[") && parseJson(lines[0]?.line ?? "").ok;
  if (!isJsonLines) {
    throw refused(source, `it is no JSON: ${whole.error}`, "Give one JSON object, an array of them, or one a line.");
  }
  return lines.map(({ number, line }) => {
    const parsed = parseJson(line);
    if (!parsed.ok) {
      throw refused(source, `line ${number} is no JSON: ${parsed.error}`, "Nothing was submitted.");
    }
    return { where: `line ${number}: `, value: parsed.value };
  });
}

type ParsedJson = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: string };

function parseJson(text: string): ParsedJson {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    return { ok: false, error: (error as Error).message };
  }
}

function complaint(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code === "unrecognized_keys") {
    return `${someOf(issue.keys, ", ")}: no such field`;
  }
  const [field] = issue.path;
  if (typeof field !== "string" || !Object.hasOwn(EXPECTED, field)) {
    return `expected an object, got ${show(value)}`;
  }
  const got = (value as Record<string, unknown>)[field];
  return `${field}: expected ${EXPECTED[field as keyof typeof EXPECTED]}, got ${show(got)}`;
}

function show(value: unknown): string {
  return shortJson(value, SHOWN_CHARS);
}

function refused(source: string, message: string, advice: string): ClientError {
  return new ClientError(EXIT.usage, `${source}: ${message}`, advice);
}
