import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import { z } from "zod";
import { camelCase, type CamelCase, camelized } from "../../../src/supabase/camelized.ts";

const row = z.object({
  now_ms: z.number(),
  post_state: z.enum(["posting", "posted"]).nullable(),
  config: z.record(z.string(), z.unknown()),
  task: z.object({ started_ms: z.number(), extra_params: z.record(z.string(), z.number()) }).nullable(),
  fleet: z.array(z.object({ pod_id: z.string().nullable() })),
  either_one: z.union([z.object({ a_b: z.literal(1) }), z.string()]),
});

describe("a row in camelCase", () => {
  it("has each declared field renamed, however deep, and the values as they were", () => {
    const given = {
      now_ms: 1,
      post_state: "posted",
      config: { max_gpus: { deep_key: 1 } },
      task: { started_ms: 2, extra_params: { guidance_scale: 7 } },
      fleet: [{ pod_id: "a_b" }, { pod_id: null }],
      either_one: { a_b: 1 },
    };
    expect(camelized(row).parse(given)).toEqual({
      nowMs: 1,
      postState: "posted",
      config: { max_gpus: { deep_key: 1 } },
      task: { startedMs: 2, extraParams: { guidance_scale: 7 } },
      fleet: [{ podId: "a_b" }, { podId: null }],
      eitherOne: { aB: 1 },
    });
    expect(camelized(row).parse({ ...given, task: null, fleet: [], either_one: "a_b" })).toMatchObject({
      task: null,
      fleet: [],
      eitherOne: "a_b",
    });
  });

  it("has the type that follows from the schema", () => {
    expectTypeOf<z.output<ReturnType<typeof camelized<typeof row>>>>().toEqualTypeOf<{
      readonly nowMs: number;
      readonly postState: "posting" | "posted" | null;
      readonly config: Record<string, unknown>;
      readonly task: { readonly startedMs: number; readonly extraParams: Record<string, number> } | null;
      readonly fleet: { readonly podId: string | null }[];
      readonly eitherOne: { readonly aB: 1 } | string;
    }>();
    expectTypeOf<CamelCase<"cost_per_hour_usd">>().toEqualTypeOf<"costPerHourUsd">();
    expect(camelCase("cost_per_hour_usd")).toBe("costPerHourUsd");
  });

  it("keeps what a loose object does not declare, and the checks of what it does", () => {
    const loose = camelized(z.looseObject({ pod_ids: z.array(z.string()).min(1) }));
    expect(loose.parse({ pod_ids: ["a"], other_key: 1 })).toEqual({ podIds: ["a"], other_key: 1 });
    expect(loose.safeParse({ pod_ids: [] }).success).toBe(false);
  });

  it("names a field as the database has it where its value is of another type", () => {
    const parsed = camelized(row).safeParse({ now_ms: "late" });
    expect(parsed.error?.issues.map(({ path }) => path.join("."))).toContain("now_ms");
  });
});

interface Sample {
  readonly schema: z.ZodType;
  readonly given: unknown;
  readonly expected: unknown;
}

const name = fc.stringMatching(/^[a-z][a-z0-9]{0,3}(_[a-z0-9]{1,3}){0,2}$/);

const { sample } = fc.letrec<{ sample: Sample; leaf: Sample; record: Sample; object: Sample; array: Sample }>(
  (tie) => ({
    leaf: fc.string().map((text) => ({ schema: z.string(), given: text, expected: text })),
    record: fc.dictionary(name, fc.integer()).map((values) => {
      return { schema: z.record(z.string(), z.number()), given: values, expected: values };
    }),
    object: fc
      .uniqueArray(fc.tuple(name, tie("sample"), fc.boolean(), fc.boolean()), {
        selector: ([key]) => camelCase(key),
        maxLength: 4,
      })
      .map((fields) => ({
        schema: z.object(
          Object.fromEntries(
            fields.map(([key, { schema }, isNullable]) => [key, isNullable ? schema.nullable() : schema]),
          ),
        ),
        given: Object.fromEntries(
          fields.map(([key, { given }, isNullable, isNull]) => [key, isNullable && isNull ? null : given]),
        ),
        expected: Object.fromEntries(
          fields.map(([key, { expected }, isNullable, isNull]) => [
            camelCase(key),
            isNullable && isNull ? null : expected,
          ]),
        ),
      })),
    array: fc.tuple(tie("sample"), fc.nat(3)).map(([{ schema, given, expected }, length]) => ({
      schema: z.array(schema),
      given: Array.from({ length }, () => given),
      expected: Array.from({ length }, () => expected),
    })),
    sample: fc.oneof({ maxDepth: 3 }, tie("leaf"), tie("record"), tie("object"), tie("array")),
  }),
);

describe("any row in camelCase", () => {
  it("has its declared keys renamed, and no other key or value changed", () => {
    fc.assert(
      fc.property(sample, ({ schema, given, expected }) => {
        expect(camelized(schema).parse(given)).toEqual(expected);
      }),
    );
  });
});
