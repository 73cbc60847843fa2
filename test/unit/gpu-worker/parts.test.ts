import { EventEmitter, getEventListeners } from "node:events";
import { pino } from "pino";
import { describe, expect, it, vi } from "vitest";
import { orAbort } from "../../../src/gpu-worker/abort.ts";
import { createOutages } from "../../../src/gpu-worker/outages.ts";
import { parseFfmpegReport } from "../../../src/gpu-worker/probe-video.ts";
import { createProgress } from "../../../src/gpu-worker/progress.ts";
import { QueueError, kindOf } from "../../../src/gpu-worker/queue-error.ts";
import { withRetry } from "../../../src/gpu-worker/retry.ts";
import { parseVram } from "../../../src/gpu-worker/vram.ts";

function unreachable(operation: string) {
  return new QueueError("unreachable", operation, 0, "fetch failed");
}

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

describe("retrying", () => {
  it("repeats transient failures until one call succeeds", async () => {
    const call = vi.fn().mockRejectedValueOnce(unreachable("x")).mockRejectedValueOnce(unreachable("x"));
    call.mockResolvedValue("done");
    const { signal } = new AbortController();
    await expect(withRetry(call, { signal, firstDelayMs: 1 })).resolves.toBe("done");
    expect(call).toHaveBeenCalledTimes(3);
  });

  it("gives up at once on a definite failure", async () => {
    const call = vi.fn().mockRejectedValue(new QueueError("rejected", "finish_task", 400, "no such object"));
    const { signal } = new AbortController();
    await expect(withRetry(call, { signal })).rejects.toThrow("finish_task failed (HTTP 400): no such object");
    expect(call).toHaveBeenCalledTimes(1);
  });

  it("rejects with the signal's reason when the signal aborts between two calls", async () => {
    const controller = new AbortController();
    const reason = new Error("lease lost");
    const call = vi.fn(async () => {
      setImmediate(() => controller.abort(reason));
      throw unreachable("x");
    });
    await expect(withRetry(call, { signal: controller.signal, firstDelayMs: 60_000 })).rejects.toBe(reason);
    expect(call).toHaveBeenCalledTimes(1);
  });

  it("leaves no listener on a signal that outlives the call", async () => {
    const { signal } = new AbortController();
    await orAbort(Promise.resolve(1), signal);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("outages", () => {
  function record() {
    const lines: string[] = [];
    const logger = pino({}, { write: (line: string) => lines.push((JSON.parse(line) as { msg: string }).msg) });
    return { lines, outages: createOutages(logger) };
  }

  it("are logged once when they begin, whichever calls fail, and once when they are over", () => {
    const { lines, outages } = record();
    outages.failed(unreachable("claim_task"));
    outages.failed(unreachable("claim_task"));
    outages.failed(unreachable("worker_heartbeat"));
    outages.answered("worker_heartbeat");
    outages.answered("claim_task");
    expect(lines).toEqual(["claim_task got no answer: fetch failed; the worker keeps trying", "the outage is over"]);
  });

  it("last, where one function alone fails, until that function answers", () => {
    const { lines, outages } = record();
    const down = new QueueError("unavailable", "finish_task", 503, "busy");
    outages.failed(down);
    outages.answered("worker_heartbeat");
    outages.failed(down);
    expect(lines).toHaveLength(1);
    outages.answered("finish_task");
    expect(lines).toHaveLength(2);
  });
});

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

describe("GPU memory", () => {
  it("is summed over the machine's GPUs", () => {
    expect(parseVram("24576, 1200\n24576, 300\n")).toEqual({ totalMb: 49_152, usedMb: 1_500 });
  });

  it("is unknown as soon as one line cannot be read", () => {
    expect(parseVram("24576, 1200\n[N/A], 3\n")).toEqual({ totalMb: null, usedMb: null });
    expect(parseVram("")).toEqual({ totalMb: null, usedMb: null });
  });
});

describe("reading ffmpeg's report", () => {
  const report = (stream: string, tail: string) =>
    `Input #0, mov, from 'x.mp4':\n  Duration: 00:01:02.50, start: 0.000000\n    ${stream}\nOutput #0, null\n${tail}`;

  it("reads brackets and ids as newer versions of ffmpeg print them", () => {
    const stream =
      "Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p(tv, bt709, progressive), " +
      "832x480 [SAR 1:1 DAR 26:15], 300 kb/s, 23.98 fps, 23.98 tbr, 12288 tbn (default)";
    expect(parseFfmpegReport(report(stream, "frame=    1 fps=0\rframe= 1499 fps=0.0 q=-1.0"))).toEqual({
      codec: "h264",
      pixelFormat: "yuv420p",
      width: 832,
      height: 480,
      fps: 23.98,
      frames: 1_499,
      durationSec: 62.5,
    });
  });

  it("answers null without a video stream", () => {
    expect(parseFfmpegReport(report("Stream #0:0: Audio: aac", "frame=    1"))).toBeNull();
  });
});
