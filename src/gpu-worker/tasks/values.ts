/** A task's parameters by their names, resolved. */
export type Values = Readonly<Record<string, unknown>>;

/** Null: the parameter has no value, or none of this kind. */
export function textValue(values: Values, name: string): string | null {
  const value = values[name];
  return typeof value === "string" ? value : null;
}

/** Null: the parameter has no value, or none of this kind. */
export function numberValue(values: Values, name: string): number | null {
  const value = values[name];
  return typeof value === "number" ? value : null;
}

/** The texts of a list, or the one that stands in its place. */
export function textsValue(values: Values, name: string): readonly string[] {
  const value = values[name];
  return (Array.isArray(value) ? value : [value]).filter((each) => typeof each === "string");
}
