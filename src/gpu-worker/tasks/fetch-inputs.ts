import type { InputFile, TaskRun } from "./handler.ts";
import { textsValue, type Values } from "./values.ts";

export interface FetchedInputs {
  /** The parameters' values, with local paths in place of URLs. */
  readonly values: Values;
  /** The files of each parameter that names any. */
  readonly files: ReadonlyMap<string, readonly InputFile[]>;
}

/** Brings every file onto this machine that a task's parameters name. @throws ParamsError as `Inputs` does */
export async function fetchInputs({ type, values, inputs }: Pick<TaskRun, "type" | "values" | "inputs">) {
  const files = new Map<string, readonly InputFile[]>();
  const local: Record<string, unknown> = {};
  for (const { name, kind } of type.parameters) {
    const { file } = kind;
    const urls = file === undefined ? [] : textsValue(values, name);
    if (file === undefined || urls.length === 0) {
      continue;
    }
    const fetched: InputFile[] = [];
    for (const url of urls) {
      fetched.push(await inputs.fetch(name, url, file));
    }
    files.set(name, fetched);
    const paths = fetched.map(({ path }) => path);
    local[name] = Array.isArray(values[name]) ? paths : paths[0];
  }
  const answer: FetchedInputs = { values: { ...values, ...local }, files };
  return answer;
}
