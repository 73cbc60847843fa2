import { z } from "zod";

/** `heartbeat_ms` → `heartbeatMs`. */
export type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

/** The output type of a schema, with its declared fields in camelCase. */
export type Camelized<S> =
  S extends z.ZodObject<infer Shape>
    ? { readonly [K in keyof Shape as CamelCase<K & string>]: Camelized<Shape[K]> }
    : S extends z.ZodArray<infer Element>
      ? Camelized<Element>[]
      : S extends z.ZodNullable<infer Inner>
        ? Camelized<Inner> | null
        : S extends z.ZodUnion<infer Options>
          ? Camelized<Options[number]>
          : z.output<S>;

export function camelCase(name: string): string {
  const [head = "", ...tail] = name.split("_");
  return head + tail.map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join("");
}

/**
 * The schema of a row of SQL, whose fields it declares in snake_case, answering them in camelCase. Objects within
 * objects, arrays, nullables and unions are renamed too; keys that no object declares, such as those of a z.record, stay.
 */
export function camelized<S extends z.ZodType>(schema: S): z.ZodType<Camelized<S>> {
  return renaming(schema) as z.ZodType<Camelized<S>>;
}

function renaming(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodObject) {
    const shape = Object.fromEntries(Object.entries(schema.shape).map(([name, field]) => [name, renaming(field)]));
    return schema.clone({ ...schema.def, shape }).transform((row) => renamed(row, shape));
  }
  if (schema instanceof z.ZodArray) {
    return schema.clone({ ...schema.def, element: renaming(schema.element) });
  }
  if (schema instanceof z.ZodNullable) {
    return schema.clone({ ...schema.def, innerType: renaming(schema.unwrap()) });
  }
  if (schema instanceof z.ZodUnion) {
    return schema.clone({ ...schema.def, options: schema.options.map(renaming) });
  }
  return schema;
}

function renamed(row: object, declared: object): object {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [Object.hasOwn(declared, name) ? camelCase(name) : name, value]),
  );
}
