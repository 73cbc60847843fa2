import { type Grid, gridOf, snapLength, snapSide } from "./grid.ts";
import { isObject, type Level, levelsOf, own } from "./levels.ts";
import type { Parameter } from "./parameters.ts";
import { type Complain, expected, readSize, readValue } from "./read-value.ts";
import type { Given, Problem, Resolved } from "./resolved.ts";
import { sizeOf, textOf } from "./size.ts";
import type { TaskType } from "./task-type.ts";

export type Resolution =
  | {
      readonly ok: true;
      /** In the parameters' order. */
      readonly values: Given;
      /** The fields of `params` that are no parameter of the type; kept as they are. */
      readonly kept: Readonly<Record<string, unknown>>;
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * Reads a task's `params`: every parameter of its type by whatever name and at whatever level it is given, or its default.
 * Never throws.
 * @param grid what sizes and lengths are cut to; left out: the grid of the model that the task names
 */
export function resolveParameters(type: TaskType, params: unknown, grid?: Grid): Resolution {
  if (!isObject(params)) {
    return { ok: false, problems: [{ field: "params", what: expected("a JSON object", params) }] };
  }
  const problems: Problem[] = [];
  const complain: Complain = (problem) => void problems.push(problem);
  const levels = levelsOf(type, params);
  const index = levels.map(({ fields }) => own(fields, "segment_index")).find((each) => each !== undefined);
  const segment = Number.isSafeInteger(index) ? Number(index) : 0;
  const read = type.parameters.map((each) => [each, resolveOne(type, each, levels, segment, complain)] as const);
  const model = read.find(([{ name }]) => name === "model")?.[1]?.value ?? type.model;
  const ground = { grid: grid ?? gridOf(model), model: typeof model === "string" ? model : "the model" };
  const resolved = new Map(
    read.flatMap(([{ name, kind }, found]) =>
      found === undefined ? [] : [[name, kind.snaps === undefined ? found : snapped(kind.snaps, found, ground)]],
    ),
  );
  for (const each of type.oneOf) {
    // A parameter that is given but wrong has its own problem.
    if (problems.length === 0 && !each.some((name) => resolved.has(name))) {
      complain({ field: `params.${each[0]}`, what: needs(type, each) });
    }
  }
  const values: Given = Object.fromEntries(resolved);
  if (problems.length === 0) {
    problems.push(...(type.check?.(values) ?? []));
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, values, kept: unread(type, params) };
}

function resolveOne(
  type: TaskType,
  parameter: Parameter,
  levels: readonly Level[],
  segment: number,
  complain: Complain,
): Resolved | undefined {
  if (parameter.kind.snaps === "size") {
    return resolveSize(type, parameter, levels, complain);
  }
  let isWrong = false;
  const found = readValue(parameter, levels, segment, (problem) => {
    isWrong = true;
    complain(problem);
  });
  if (parameter.fixed !== undefined) {
    const { fixed: value } = parameter;
    const adjusted =
      found === undefined || found.value === value ? null : { from: found.value, why: parameter.meaning };
    return { value, from: found === undefined ? [] : [found.field], adjusted };
  }
  if (found !== undefined) {
    return { value: found.value, from: [found.field], adjusted: null };
  }
  if (parameter.isRequired && !isWrong) {
    complain({ field: `params.${parameter.name}`, what: expected(parameter.kind.allowed, undefined) });
  }
  return parameter.fallback === undefined ? undefined : { value: parameter.fallback, from: [], adjusted: null };
}

function resolveSize(
  type: TaskType,
  parameter: Parameter,
  levels: readonly Level[],
  complain: Complain,
): Resolved | undefined {
  const { width, height } = readSize(parameter, type.side, levels, complain);
  const fields = [width, height].flatMap((side) => (side === undefined ? [] : [side.field]));
  if (typeof parameter.fallback !== "string" && (width === undefined || height === undefined)) {
    const [missing, given] = width === undefined ? ["width", height] : ["height", width];
    if (given !== undefined) {
      complain({
        field: `params.${missing}`,
        what: expected(`${type.side.allowed}, beside ${given.field}`, undefined),
      });
    }
    return undefined;
  }
  const fallback = sizeOf(String(parameter.fallback));
  const value = textOf({ width: width?.value ?? fallback.width, height: height?.value ?? fallback.height });
  return { value, from: [...new Set(fields)], adjusted: null };
}

interface Ground {
  readonly grid: Grid;
  readonly model: string;
}

function snapped(snaps: "size" | "length", found: Resolved, { grid, model }: Ground): Resolved {
  const { value, from } = found;
  const [cut, why] = snaps === "length" ? cutLength(Number(value), grid) : cutSize(String(value), grid);
  return cut === value ? found : { value: cut, from, adjusted: { from: value, why: `${model} makes ${why}` } };
}

function cutLength(frames: number, grid: Grid): [number, string] {
  return [snapLength(frames, grid), `lengths of ${grid.frameStep}n+1 frames`];
}

function cutSize(size: string, grid: Grid): [string, string] {
  const { width, height } = sizeOf(size);
  const cut = textOf({ width: snapSide(width, grid), height: snapSide(height, grid) });
  return [cut, `sides that are multiples of ${grid.sidePx} px`];
}

function needs({ parameters }: TaskType, names: readonly string[]): string {
  const [first = ""] = names;
  const allowed = parameters.find(({ name }) => name === first)?.kind.allowed ?? "a value";
  const others = names.slice(1).map((name) => `params.${name}`);
  return `expected ${[allowed, ...others].join(", or ")}, got nothing`;
}

function unread({ parameters }: TaskType, params: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const hasSize = parameters.some(({ kind }) => kind.snaps === "size");
  const names = new Set([
    ...parameters.flatMap(({ name, aliases }) => [name, ...aliases]),
    ...(hasSize ? ["width", "height"] : []),
  ]);
  return Object.fromEntries(Object.entries(params).filter(([name]) => !names.has(name)));
}
