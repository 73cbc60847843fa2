import { describe, expect, it } from "vitest";
import { parseFfmpegReport } from "../../../src/gpu-worker/video/probe-video.ts";

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
