import { describe, expect, it } from "vitest";
import { kindOf } from "../../../src/gpu-worker/queue/queue-error.ts";

describe("the kind of a failure", () => {
  it.each([
    [0, "", "unreachable"],
    [401, "", "refused"],
    [403, "42501", "refused"],
    [400, "28000", "refused"],
    [400, "P0001", "rejected"],
    [404, "PGRST202", "rejected"],
    [429, "", "unavailable"],
    [503, "", "unavailable"],
  ])("for HTTP %i with code '%s' is %s", (status, code, kind) => {
    expect(kindOf(status, code)).toBe(kind);
  });
});
