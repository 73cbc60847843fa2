import { describe, expect, it } from "vitest";
import { buildResult, type ResultInput } from "../../../src/gpu-worker/result.ts";

const claimedAtMs = Date.UTC(2024, 0, 1, 11, 57, 34, 700);
const VIDEO = { location: "http://host/video.mp4", contentType: "video/mp4" };
const PICTURE = { location: "http://host/a.png", contentType: "image/png" };

function build(fields: Partial<ResultInput> = {}) {
  return buildResult({
    files: [VIDEO],
    thumbnail: { location: "http://host/thumb.jpg", contentType: "image/jpeg" },
    facts: { codec: "h264", width: 320, height: 180, fps: 16, frames: 49, durationSec: 3.06, pixelFormat: "yuv420p" },
    fileSizeBytes: 2_048,
    claimedAtMs,
    nowMs: claimedAtMs + 145_300,
    engine: "preview",
    model: "preview",
    seed: 42,
    attempt: 2,
    workerId: "pool-0a1b2c3d",
    notHonoured: [{ param: "model", reason: "none is run" }],
    more: {},
    ...fields,
  });
}

const OF_EVERY_RESULT = {
  thumbnail_url: "http://host/thumb.jpg",
  file_size_bytes: 2_048,
  processing_time_seconds: 145.3,
  model_used: "preview",
  generated_at: "2024-01-01T12:00:00.000Z",
  engine: "preview",
  width: 320,
  height: 180,
  seed: 42,
  attempt: 2,
  worker_id: "pool-0a1b2c3d",
  not_honoured: [{ param: "model", reason: "none is run" }],
};

describe("result data", () => {
  it("has the documented shape for a video, with figures taken from the file", () => {
    expect(build()).toEqual({
      ...OF_EVERY_RESULT,
      video_url: "http://host/video.mp4",
      duration_seconds: 3.063,
      frames: 49,
      fps: 16,
    });
  });

  it("names all pictures, and has no length", () => {
    const second = { ...PICTURE, location: "http://host/b.png" };
    expect(build({ files: [PICTURE, second] })).toEqual({
      ...OF_EVERY_RESULT,
      image_url: "http://host/a.png",
      image_urls: ["http://host/a.png", "http://host/b.png"],
    });
  });

  it("names the files beside a video, and the handler's own keys, which replace none of the others", () => {
    const more = { approximate: true, engine: "none" };
    expect(build({ files: [VIDEO, PICTURE], more })).toMatchObject({
      video_url: "http://host/video.mp4",
      other_urls: ["http://host/a.png"],
      approximate: true,
      engine: "preview",
    });
  });

  it("has neither size nor seed where there is none", () => {
    const file = { location: "http://host/a.json", contentType: "application/json" };
    const result = build({ files: [file], facts: null, thumbnail: null, seed: null });
    expect(result).toMatchObject({ file_url: "http://host/a.json" });
    for (const key of ["width", "seed", "thumbnail_url", "video_url", "image_url"]) {
      expect(result).not.toHaveProperty(key);
    }
  });
});
