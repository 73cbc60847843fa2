import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  cut,
  cutToEnd,
  shorten,
  shortJson,
  storable,
  storableText,
  UnstorableError,
} from "../../../supabase/functions/_shared/text.ts";

const SURROGATE = /\p{Surrogate}/u;
const ODD = ["\0", "\ud83c", "\udfac", "\u202e", "\u200f", "🎬", "e\u0301", "م"];
const oddText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.array(fc.constantFrom(...ODD, "a")).map((t) => t.join("")),
);
const wellFormed = fc.string({ unit: "binary" }).map(storableText);

function nested(levels: number): unknown {
  return JSON.parse("[".repeat(levels) + "]".repeat(levels));
}

describe("a cut of a text", () => {
  it("never halves a character, and leaves out no more than it must", () => {
    fc.assert(
      fc.property(wellFormed, fc.nat({ max: 20 }), (text, longest) => {
        const [head, tail] = [cut(text, longest), cutToEnd(text, longest)];
        for (const part of [head, tail]) {
          expect(part).not.toMatch(SURROGATE);
          expect(part.length).toBeLessThanOrEqual(longest);
          expect(part.length).toBeGreaterThanOrEqual(Math.min(text.length, longest - 1));
        }
        expect(text.startsWith(head) && text.endsWith(tail)).toBe(true);
      }),
    );
  });

  it("says that it was cut", () => {
    expect(shorten("abc", 3)).toBe("abc");
    expect(shorten("abcd", 3)).toBe("abc…");
    expect(shorten("ab🎬", 3)).toBe("ab…");
  });

  it("shows any value as JSON, also one that is nested deeper than JSON can be written", () => {
    expect(shortJson("🎬🎬", 4)).toBe('"🎬…');
    expect(shortJson(undefined, 9)).toBe("nothing");
    expect(shortJson(nested(20_000), 9)).toBe("a value that is nested too deeply to be shown");
  });
});

describe("what is storable", () => {
  it("holds no NUL and no half of a character, and is unchanged where it held none", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: oddText }), (value) => {
        const copy = storable(value);
        const json = JSON.stringify(copy);
        expect(json).not.toMatch(/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/);
        expect(storable(copy)).toEqual(copy);
        const isOdd = /\\u(?:0000|d[89a-f])/.test(JSON.stringify(value));
        expect(isOdd || json === JSON.stringify(value)).toBe(true);
      }),
    );
  });

  it("has the replacement character in their place, also in names, and one for each", () => {
    expect(storable({ "a\0": ["\ud83cb", 1, null, true, undefined, new Date(0)] })).toEqual({
      "a\ufffd": ["\ufffdb", 1, null, true, undefined, "1970-01-01T00:00:00.000Z"],
    });
    expect(storableText("\udfac\ud83c🎬")).toBe("\ufffd\ufffd🎬");
  });

  it("is nested at most 500 levels deep and has at most 20 million characters; the error names the field", () => {
    expect(storable({ p: nested(499) })).toEqual({ p: nested(499) });
    const refused = (field: string, value: unknown) => {
      const error = (() => {
        try {
          return storable(value);
        } catch (thrown) {
          return thrown;
        }
      })();
      expect(error).toBeInstanceOf(UnstorableError);
      expect(error).toMatchObject({ field, message: expect.stringMatching(new RegExp(`^${field} is `)) });
    };
    refused("p_task.params", { p_task: { params: nested(20_000) } });
    refused("0.params", [{ params: nested(600) }]);
    refused("p_error", { p_id: 1, p_error: "🎬".repeat(10_000_001) });
  });
});
