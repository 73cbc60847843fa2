import { describe, expect, it } from "vitest";
import { withFinalRefusals } from "../../../src/activities/final-refusals.ts";
import { FAILURES } from "../../../src/contract/failures.ts";
import { DatabaseError } from "../../../src/supabase/database-error.ts";

describe("invariant 16: an activity that the database refuses", () => {
  const activities = withFinalRefusals({
    async read(code: string) {
      if (code !== "") {
        throw new DatabaseError("read", 400, code, "the reason", null);
      }
      return "answer";
    },
  });

  it("fails for good, with the reason, when the refusal would be repeated", async () => {
    await expect(activities.read("22P02")).rejects.toMatchObject({
      type: FAILURES.databaseRefusal,
      nonRetryable: true,
      message: "database: read failed (HTTP 400, 22P02): the reason",
    });
  });

  it("is retried when the refusal may pass by itself, and answers as before", async () => {
    await expect(activities.read("40001")).rejects.toBeInstanceOf(DatabaseError);
    expect(await activities.read("")).toBe("answer");
  });
});
