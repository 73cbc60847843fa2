import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { createProgress } from "../../../src/gpu-worker/progress.ts";

describe("progress", () => {
  it("passes one movement per interval and every stage, in order", async () => {
    const sent: string[] = [];
    let nowMs = 0;
    const settled = new EventEmitter();
    const progress = createProgress(
      async (_fraction, message) => {
        sent.push(message);
        settled.emit("sent");
      },
      2_000,
      () => nowMs,
    );
    progress.stage(0, "begin");
    await expect.poll(() => sent).toEqual(["begin"]);
    progress.move(0.1, "too soon");
    nowMs = 2_000;
    progress.move(0.2, "moved");
    progress.move(0.3, "under way");
    progress.stage(1, "end");
    await expect.poll(() => sent).toEqual(["begin", "moved", "end"]);
  });

  it("sends nothing more once it is closed", async () => {
    const sent: string[] = [];
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const progress = createProgress(async (_fraction, message) => {
      sent.push(message);
      await held;
    });
    progress.stage(0, "first");
    progress.stage(1, "second");
    await expect.poll(() => sent).toEqual(["first"]);
    progress.close();
    release();
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toEqual(["first"]);
  });
});
