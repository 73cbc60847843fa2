import { ApplicationFailure } from "@temporalio/common";
import { expect, it } from "vitest";
import { withReadableErrors } from "../../../src/activities/readable-errors.ts";

const HALF = "\ud83c";

it("an activity's error, its stack and its causes hold no half of a character, and nothing else of it changes", async () => {
  const { fail, give } = withReadableErrors({
    fail: async () => {
      const cause = new Error(`the answer was ${HALF}`);
      throw ApplicationFailure.create({ message: `deleting ${HALF} 🎬`, type: "T", nonRetryable: true, cause });
    },
    give: async (text: string) => text,
  });
  const error = await fail().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ApplicationFailure);
  expect(error).toMatchObject({
    message: "deleting \ufffd 🎬",
    type: "T",
    nonRetryable: true,
    stack: expect.not.stringMatching(/\p{Surrogate}/u),
    cause: { message: "the answer was \ufffd", stack: expect.not.stringMatching(/\p{Surrogate}/u) },
  });
  expect(await give(HALF)).toBe(HALF);
});
