import { describe, expect, it } from "vitest";
import { buildResult } from "../../../src/gpu-worker/result.ts";

describe("result data", () => {
  it("has the documented shape, with figures taken from the file", () => {
    const claimedAtMs = Date.UTC(2024, 0, 1, 11, 57, 34, 700);
    const result = buildResult({
      videoUrl: "http://host/video.mp4",
      thumbnailUrl: "http://host/thumb.jpg",
      facts: { codec: "h264", width: 320, height: 180, fps: 16, frames: 49, durationSec: 3.06, pixelFormat: "yuv420p" },
      fileSizeBytes: 2_048,
      claimedAtMs,
      nowMs: claimedAtMs + 145_300,
      engine: "preview",
      generated: { modelUsed: "preview", notHonoured: [{ param: "model", reason: "none is run" }] },
      seed: 42,
      attempt: 2,
      workerId: "pool-0a1b2c3d",
    });
    expect(result).toEqual({
      video_url: "http://host/video.mp4",
      thumbnail_url: "http://host/thumb.jpg",
      duration_seconds: 3.063,
      file_size_bytes: 2_048,
      processing_time_seconds: 145.3,
      model_used: "preview",
      generated_at: "2024-01-01T12:00:00.000Z",
      engine: "preview",
      frames: 49,
      fps: 16,
      width: 320,
      height: 180,
      seed: 42,
      attempt: 2,
      worker_id: "pool-0a1b2c3d",
      not_honoured: [{ param: "model", reason: "none is run" }],
    });
  });
});
