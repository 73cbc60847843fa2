import fc from "fast-check";

/** The same inputs for every change; DOORS_SEED=<number> tries others. */
export const SEED = Number(process.env["DOORS_SEED"] ?? 1);
export const ID = "11111111-1111-4111-8111-111111111111";
const LONG = "🎬".repeat(250_000);

export const oddText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("", "\0", "\ud83c", "\udfac\0", "\u202e\u05d0mirrored", "🎬", LONG, "null", "Infinity", ID, "main"),
);
const number = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, -1, 1e308, 5e-324, 2 ** 31, 2 ** 53, -(2 ** 63), 1e19, 0.1),
);
const date = fc.oneof(
  fc.date({ noInvalidDate: true }).map((at) => at.toISOString()),
  fc.constantFrom(
    "2026-11-29 20:57:28.123 +0000 UTC",
    "infinity",
    "294276-12-31T23:59:59Z",
    "0000-00-00",
    "now",
    "epoch",
  ),
);
/** Any text, number, date or JSON that a request can hold. */
export const anything = fc.oneof(
  oddText,
  number,
  date,
  fc.jsonValue({ stringUnit: "binary", maxDepth: 3 }),
  fc.constant(null),
);
