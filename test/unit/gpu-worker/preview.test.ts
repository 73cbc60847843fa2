import { readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { GenerateRequest, Make, TransformRequest } from "../../../src/gpu-worker/engines/engine.ts";
import { MARK_ROWS, markPlace } from "../../../src/gpu-worker/engines/preview/mark.ts";
import { createPreviewEngine } from "../../../src/gpu-worker/engines/preview/preview-engine.ts";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { probeVideo } from "../../../src/gpu-worker/video/probe-video.ts";
import { requestOf } from "../../kit/gpu-worker/engine-request.ts";
import { temporaryFolder } from "../../kit/gpu-worker/fake-task.ts";
import { makeSample, readPixels } from "../../kit/gpu-worker/samples.ts";

const ffmpegPath = await findFfmpeg(null);
const engine = createPreviewEngine(ffmpegPath);
let outputDir: string;

beforeEach(async () => {
  outputDir = await temporaryFolder();
});
afterEach(() => rm(outputDir, { recursive: true, force: true }));

type Options = Partial<Pick<GenerateRequest, "basename" | "signal" | "onProgress" | "make">>;

function render(fields: object, { basename = "video", ...options }: Options = {}) {
  return engine.generate(requestOf({ prompt: "a cat", seed: 7, ...fields }, { outputDir, basename, ...options }));
}

const SMALL = { width: 64, height: 48 };
const PICTURE: Make = { kind: "picture", count: 1, ...SMALL };
const VIDEO: Make = { kind: "video", frames: 5, fps: 16, ...SMALL };

function transform(job: TransformRequest["job"], inputs: string[], make: Make) {
  const signal = new AbortController().signal;
  return engine.transform!({
    job,
    inputs,
    make,
    model: null,
    outputDir,
    basename: "out",
    signal,
    onProgress: () => undefined,
  });
}

/** Whether the picture has the mark where it belongs: nearly all of its cells are light or dark as they should be. */
async function isMarked(path: string, size: { width: number; height: number }, frame = 0): Promise<boolean> {
  const { at } = await readPixels(path, size, frame);
  const { width, height, x, y } = markPlace(size);
  const cell = width / MARK_ROWS[0]!.length;
  let right = 0;
  for (const [row, cells] of MARK_ROWS.entries()) {
    for (const [column, value] of cells.split("").entries()) {
      const [red, green, blue] = at(
        Math.floor(x + (column + 0.5) * cell),
        Math.floor(y + (row + 0.5) * (height / MARK_ROWS.length)),
      );
      right += (red + green + blue) / 3 > 127 === (value === "1") ? 1 : 0;
    }
  }
  return right >= MARK_ROWS.join("").length * 0.95;
}

describe("a video of the preview engine", () => {
  it.each([
    { frames: 1, fps: 24, width: 320, height: 180 },
    { frames: 7, fps: 1, width: 16, height: 16 },
    { frames: 49, fps: 16, width: 512, height: 512 },
    { frames: 13, fps: 29.97, width: 130, height: 98 },
    { frames: 121, fps: 120, width: 16, height: 240 },
  ])("has exactly $frames frames at $fps fps and $width x $height", async (asked) => {
    const [path] = (await render(asked)).files;
    expect(await probeVideo(path, ffmpegPath)).toMatchObject({ ...asked, codec: "h264", pixelFormat: "yuv420p" });
    expect(await readdir(outputDir)).toEqual(["video.mp4"]);
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

describe("pictures of the preview engine", () => {
  it("are PNG files of exactly the size, also of an odd one, each another", async () => {
    const odd = { width: 65, height: 47 };
    const { files } = await render({}, { make: { kind: "picture", count: 3, ...odd }, basename: "p" });
    expect(files.map((path) => path.slice(outputDir.length + 1))).toEqual(["p.png", "p_2.png", "p_3.png"]);
    for (const path of files) {
      expect(await probeVideo(path, ffmpegPath)).toMatchObject({ codec: "png", frames: 1, ...odd });
    }
    const bytes = await Promise.all(files.map((path) => readFile(path, "base64")));
    expect(new Set(bytes).size).toBe(3);
  });

  it("show the picture that is to be changed, and what replaces it only where the mask is white", async () => {
    const image = await makeSample(outputDir, "red.png", { colour: "0xc00000" });
    const filters = "drawbox=x=32:y=0:w=32:h=48:color=white:t=fill";
    const mask = await makeSample(outputDir, "mask.png", { colour: "black", filters });
    const { files } = await engine.generate({
      ...requestOf(
        { image, mask_url: mask },
        { outputDir, basename: "edit", taskType: "image_inpaint", make: PICTURE },
      ),
    });
    const { at } = await readPixels(files[0], SMALL);
    expect(isRed(at(10, 10))).toBe(true);
    expect([at(60, 4), at(50, 14), at(60, 24), at(40, 30)].every(isRed)).toBe(false);
  });
});

function isRed([red, green, blue]: [number, number, number]): boolean {
  return red > 150 && green < 40 && blue < 40;
}

/** A filter that makes a video grey: an expression for the brightness of frame N, from 16 to 235. */
function grey(brightness: string): string {
  return `geq=lum='${brightness}':cb=128:cr=128`;
}

describe("a video that begins with a picture", () => {
  it("shows it in its first frame and the last one in its last frame, and fades between", async () => {
    const start = await makeSample(outputDir, "start.png", { colour: "0x800000" });
    const end = await makeSample(outputDir, "end.png", { colour: "0x000080" });
    const { files } = await engine.generate(
      requestOf({ prompt: "x", image_start: start, image_end: end }, { outputDir, basename: "v", make: VIDEO }),
    );
    const shades = [];
    for (let frame = 0; frame < VIDEO.frames; frame += 1) {
      shades.push((await readPixels(files[0], SMALL, frame)).at(32, 8));
    }
    const [reds, blues] = [shades.map(([red]) => red), shades.map(([, , blue]) => blue)];
    expect(reds).toEqual(reds.toSorted((one, other) => other - one));
    expect(blues).toEqual(blues.toSorted((one, other) => one - other));
    expect([reds[0]! > 110, reds.at(-1)! < 16, blues[0]! < 16, blues.at(-1)! > 110]).toEqual([true, true, true, true]);
  });
});

describe("a video after a guide", () => {
  it("keeps the guide's frames where its mask is black or something guides, and leads from one to the next", async () => {
    const free = 126;
    const shades = [60, free, free, free, 140, 200, free, 220, free];
    const lum = shades.reduceRight((rest, shade, frame) => `if(eq(N,${frame}),${shade},${rest})`, "16");
    const guide = await makeSample(outputDir, "guide.mp4", { frames: 9, colour: "black", filters: grey(lum) });
    const white = "if(between(N,1,3)+gte(N,6),235,16)";
    const mask = await makeSample(outputDir, "mask.mp4", { frames: 9, colour: "black", filters: grey(white) });
    const params = { prompt: "x", video_guide: guide, video_mask: mask };
    const make: Make = { ...VIDEO, frames: 9 };
    const [path] = (await engine.generate(requestOf(params, { outputDir, basename: "v", taskType: "vace", make })))
      .files;
    const made: number[] = [];
    for (let frame = 0; frame < 9; frame += 1) {
      made.push((await readPixels(path, SMALL, frame)).at(32, 8)[0]);
    }
    // Of the limited range of a video to that of a picture.
    const expected = [60, 80, 100, 120, 140, 200, 210, 220, 220].map((shade) => ((shade - 16) * 255) / 219);
    for (const [frame, shade] of expected.entries()) {
      expect(Math.abs(made[frame]! - shade)).toBeLessThan(8);
    }
  });

  it("draws where a part of its mask is white, frame by frame", async () => {
    const guide = await makeSample(outputDir, "guide.mp4", { frames: 5, colour: "0xc00000" });
    const filters = "drawbox=x=32:y=0:w=32:h=48:color=white:t=fill:enable='between(n,2,3)'";
    const mask = await makeSample(outputDir, "mask.mp4", { frames: 5, colour: "black", filters });
    const params = { prompt: "x", video_guide: guide, video_mask: mask };
    const request = requestOf(params, { outputDir, basename: "v", taskType: "vace", make: VIDEO });
    const [path] = (await engine.generate(request)).files;
    const isKept: boolean[] = [];
    for (let frame = 0; frame < 5; frame += 1) {
      const { at } = await readPixels(path, SMALL, frame);
      expect(isRed(at(8, 8))).toBe(true);
      isKept.push([at(60, 4), at(50, 14), at(60, 24), at(40, 30)].every(isRed));
    }
    expect(isKept).toEqual([true, true, false, false, true]);
  });

  it("repeats the last frame of a guide that is too short, and has exactly its own length", async () => {
    const guide = await makeSample(outputDir, "guide.mp4", { frames: 2, fps: 8 });
    const make: Make = { ...VIDEO, frames: 7, fps: 24 };
    const params = { prompt: "x", video_guide: guide };
    const { files } = await engine.generate(requestOf(params, { outputDir, basename: "v", taskType: "vace", make }));
    expect(await probeVideo(files[0], ffmpegPath)).toMatchObject({ frames: 7, fps: 24, ...SMALL });
  });
});

describe("the other jobs of the preview engine", () => {
  it.each(["pose", "depth", "flow", "upscale"] as const)(
    "%s: of a picture, and of a video frame by frame",
    async (job) => {
      const picture = await makeSample(outputDir, "in.png");
      const video = await makeSample(outputDir, "in.mp4", { frames: 5 });
      const size = job === "upscale" ? { width: 128, height: 96 } : SMALL;
      const [png] = (await transform(job, [picture], { ...PICTURE, ...size })).files;
      expect(await probeVideo(png, ffmpegPath)).toMatchObject({ codec: "png", ...size });
      expect(await isMarked(png, size)).toBe(true);
      const [mp4] = (await transform(job, [video], { ...VIDEO, ...size })).files;
      expect(await probeVideo(mp4, ffmpegPath)).toMatchObject({ codec: "h264", frames: 5, fps: 16, ...size });
      expect(await isMarked(mp4, size, 4)).toBe(true);
    },
  );

  it("interpolate: from one picture to the other, in exactly the number of frames", async () => {
    const first = await makeSample(outputDir, "a.png", { colour: "black" });
    const last = await makeSample(outputDir, "b.png", { colour: "white" });
    const [path] = (await transform("interpolate", [first, last], VIDEO)).files;
    expect(await probeVideo(path, ffmpegPath)).toMatchObject({ frames: 5, fps: 16 });
    const shades = [];
    for (let frame = 0; frame < 5; frame += 1) {
      shades.push((await readPixels(path, SMALL, frame)).at(32, 8)[0]);
    }
    for (const [frame, shade] of shades.entries()) {
      expect(Math.abs(shade - (frame * 255) / 4)).toBeLessThan(10);
    }
  });

  it("names the job that lacks a file", async () => {
    await expect(transform("interpolate", [], VIDEO)).rejects.toThrow("the job interpolate got no file");
  });
});

describe("the mark", () => {
  it.each([
    { width: 64, height: 48 },
    { width: 320, height: 180 },
    { width: 47, height: 65 },
  ])("is on a picture of $width x $height", async (size) => {
    const { files } = await render({}, { make: { kind: "picture", count: 1, ...size } });
    expect(await isMarked(files[0], size)).toBe(true);
  });

  it("is on every frame of a video", async () => {
    const size = { width: 128, height: 96 };
    const { files } = await render({}, { make: { ...VIDEO, ...size } });
    for (let frame = 0; frame < VIDEO.frames; frame += 1) {
      expect(await isMarked(files[0], size, frame)).toBe(true);
    }
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
