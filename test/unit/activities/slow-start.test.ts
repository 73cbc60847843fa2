import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Lesson, slowStart } from "../../../src/activities/slow-start.ts";

describe("a burst with a slow start", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** Ten pieces of work of a second each. @returns how many had begun by the end of each second. */
  async function begunBySecond(inTurn: (work: () => Promise<Lesson>) => Promise<Lesson>, lesson: Lesson) {
    let begun = 0;
    const work = async () => {
      begun += 1;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return lesson;
    };
    const all = Promise.all(Array.from({ length: 10 }, () => inTurn(work)));
    const seen: number[] = [];
    while (seen.at(-1) !== 10) {
      await vi.advanceTimersByTimeAsync(999);
      seen.push(begun);
      await vi.advanceTimersByTimeAsync(1);
    }
    await vi.advanceTimersByTimeAsync(10_000);
    await all;
    return seen;
  }

  it("begins with one, and twice as many go on after each that went well; after a pause it begins with one again", async () => {
    const inTurn = slowStart<Lesson>((lesson) => lesson);
    expect(await begunBySecond(inTurn, "go on")).toEqual([1, 3, 10]);
    await vi.advanceTimersByTimeAsync(11_000);
    expect(await begunBySecond(inTurn, "go on")).toEqual([1, 3, 10]);
  });

  it("stays at one while the work shows that it is no use", async () => {
    expect(
      (
        await begunBySecond(
          slowStart<Lesson>((lesson) => lesson),
          "begin anew",
        )
      ).slice(0, 4),
    ).toEqual([1, 2, 3, 4]);
  });

  it("lets nothing wait longer than five seconds for a piece that hangs", async () => {
    const inTurn = slowStart<Lesson>((lesson) => lesson);
    void inTurn(() => new Promise<Lesson>(() => undefined));
    const second = inTurn(async () => "go on");
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await second).toBe("go on");
  });

  it("goes on after work that throws", async () => {
    const inTurn = slowStart<Lesson>((lesson) => lesson);
    await expect(inTurn(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await inTurn(async () => "go on")).toBe("go on");
  });
});
