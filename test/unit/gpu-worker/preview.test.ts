import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createPreviewEngine } from "../../../src/gpu-worker/engines/preview/preview-engine.ts";
import { createFfmpeg, findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { probeVideo } from "../../../src/gpu-worker/video/probe-video.ts";
import { makeThumbnail } from "../../../src/gpu-worker/video/thumbnail.ts";
import { requestOf } from "../../kit/gpu-worker/engine-request.ts";

const ffmpegPath = await findFfmpeg(null);
const engine = createPreviewEngine(ffmpegPath);
let outputDir: string;

beforeEach(async () => {
  outputDir = await mkdtemp(join(tmpdir(), "gpu-worker-preview-"));
});
afterEach(() => rm(outputDir, { recursive: true, force: true }));

interface Options {
  readonly basename?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (fraction: number, message: string) => void;
}

function render(fields: object, { basename = "video", ...options }: Options = {}) {
  return engine.generate(requestOf({ prompt: "a cat", seed: 7, ...fields }, { outputDir, basename, ...options }));
}

describe("the preview engine", () => {
  it.each([
    { frames: 1, fps: 24, width: 320, height: 180 },
    { frames: 7, fps: 1, width: 16, height: 16 },
    { frames: 49, fps: 16, width: 512, height: 512 },
    { frames: 13, fps: 29.97, width: 130, height: 98 },
    { frames: 121, fps: 120, width: 16, height: 240 },
  ])("renders exactly $frames frames at $fps fps and $width x $height", async (asked) => {
    const [path] = (await render(asked)).files;
    const thumbnailPath = join(outputDir, "video_thumb.jpg");
    await makeThumbnail(createFfmpeg(ffmpegPath, new AbortController().signal), path, thumbnailPath);
    expect(await probeVideo(path, ffmpegPath)).toMatchObject({ ...asked, codec: "h264", pixelFormat: "yuv420p" });
    expect(await probeVideo(thumbnailPath, ffmpegPath)).toMatchObject({
      codec: "mjpeg",
      frames: 1,
      width: asked.width,
      height: asked.height,
    });
    expect(await readdir(outputDir)).toEqual(["video.mp4", "video_thumb.jpg"]);
  });

  it("writes the index before the pictures, so that players can start at once", async () => {
    const { files } = await render({ frames: 3 });
    const bytes = await readFile(files[0]);
    expect(bytes.indexOf("moov")).toBeGreaterThan(0);
    expect(bytes.indexOf("moov")).toBeLessThan(bytes.indexOf("mdat"));
  });

  it("gives equal bytes for an equal prompt and seed, and others for another seed or prompt", async () => {
    const bytes = async (fields: object, basename: string) =>
      await readFile((await render({ frames: 5, width: 64, height: 64, ...fields }, { basename })).files[0]);
    const first = await bytes({}, "first");
    expect((await bytes({}, "again")).equals(first)).toBe(true);
    expect((await bytes({ seed: 8 }, "seed")).equals(first)).toBe(false);
    expect((await bytes({ prompt: "a dog" }, "prompt")).equals(first)).toBe(false);
  });

  it("reports its progress up to the last frame", async () => {
    const fractions: number[] = [];
    await render({ frames: 30 }, { onProgress: (fraction) => fractions.push(fraction) });
    expect(fractions.at(-1)).toBe(1);
  });

  it("names the parameters without effect", async () => {
    const { notHonoured, modelUsed } = await render({ frames: 1, guidance_scale: 7.5 });
    expect(modelUsed).toBe("preview");
    expect(notHonoured).toContainEqual({ param: "guidance_scale", reason: "the preview engine runs no model" });
    const names = notHonoured.map(({ param }) => param);
    for (const honoured of ["prompt", "seed", "video_length", "fps", "resolution"]) {
      expect(names).not.toContain(honoured);
    }
  });

  it("stops the encoder and removes its files when it is aborted in mid-render", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const rendering = render(
      { frames: 1_000, width: 1_920, height: 1_080 },
      { signal: controller.signal, onProgress: () => controller.abort(reason) },
    );
    await expect(rendering).rejects.toBe(reason);
    expect(await readdir(outputDir)).toEqual([]);
  });

  it("quotes ffmpeg's error when the render fails", async () => {
    await rm(outputDir, { recursive: true });
    await expect(render({ frames: 1 })).rejects.toThrow(/ffmpeg .* failed: .*No such file or directory/s);
  });
});

describe("probing", () => {
  it("refuses a file that is no video and names it", async () => {
    const path = join(outputDir, "..", "no-such-video.mp4");
    await expect(probeVideo(path, ffmpegPath)).rejects.toThrow("no-such-video.mp4 is not a readable video");
  });
});

describe("finding ffmpeg", () => {
  it("names FFMPEG_PATH when it points to a program that does not run", async () => {
    await expect(findFfmpeg("/dev/null")).rejects.toThrow('FFMPEG_PATH="/dev/null" does not run');
  });
});
