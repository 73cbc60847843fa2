import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { adjustVideo } from "../../../../src/gpu-worker/video/adjust.ts";
import { changeBetween, matchColours } from "../../../../src/gpu-worker/video/colour-match.ts";
import { changeLab, labStats } from "../../../../src/gpu-worker/video/frames/lab.ts";
import { cutVideo } from "../../../../src/gpu-worker/video/cut.ts";
import { extractFrame } from "../../../../src/gpu-worker/video/pictures.ts";
import { encodeFrames } from "../../../../src/gpu-worker/video/write-video.ts";
import { colourFrame, meanColours, openFolder, SMALL, testFfmpeg } from "../../../kit/video/clips.ts";

const ffmpeg = testFfmpeg();
let folder: Awaited<ReturnType<typeof openFolder>>;

beforeEach(async () => {
  folder = await openFolder();
});
afterEach(() => folder.remove());

type Colour = readonly [number, number, number];
const COLOURS: readonly Colour[] = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [255, 255, 255],
  [0, 0, 0],
  [128, 128, 128],
  [200, 120, 40],
  [30, 90, 160],
];

async function colourClip(path: string, colours: readonly Colour[]) {
  async function* frames() {
    for (const colour of colours) {
      yield colourFrame(SMALL, colour);
    }
  }
  await encodeFrames(ffmpeg, path, { size: SMALL, format: "rgb24", fps: 16 }, frames());
  return path;
}

/** The same colours, written by ffmpeg alone with another matrix and range, and marked so. */
async function foreignClip(path: string, colour: Colour, matrix: string, marks: readonly string[]) {
  const hex = colour.map((value) => value.toString(16).padStart(2, "0")).join("");
  const graph = `color=c=0x${hex}:s=64x48:r=16,format=rgb24,scale=out_color_matrix=${matrix}:out_range=tv,format=yuv420p`;
  const coded = ["-c:v", "libx264", "-qp", "0", ...marks];
  await ffmpeg.run(["-f", "lavfi", "-i", graph, "-frames:v", "2", ...coded, path]);
  return path;
}

/** How far a channel is off at most; never a number for another count of frames. */
function worst(seen: readonly Colour[], expected: readonly Colour[]): number {
  if (seen.length !== expected.length) {
    return Number.NaN;
  }
  const off = seen.flatMap((colour, frame) =>
    colour.map((value, channel) => Math.abs(value - (expected[frame]?.[channel] ?? Number.NaN))),
  );
  return Math.max(...off);
}

describe("colours", () => {
  it("survive writing and reading, a second time too", async () => {
    const video = await colourClip(folder.path("video.mp4"), COLOURS);
    expect(worst(await meanColours(video), COLOURS)).toBeLessThanOrEqual(3);
    const again = folder.path("again.mp4");
    await cutVideo(ffmpeg, video, { start: 0, end: COLOURS.length }, again);
    expect(worst(await meanColours(again), COLOURS)).toBeLessThanOrEqual(4);
  });

  it.each([
    ["bt709", ["-colorspace", "bt709", "-color_range", "tv"]],
    ["bt601", ["-colorspace", "smpte170m", "-color_range", "tv"]],
    ["bt601", []],
  ])("of a video in %s, marked %j, stay when it is written anew", async (matrix, marks) => {
    const colour = [200, 60, 40] as const;
    const foreign = await foreignClip(folder.path("foreign.mp4"), colour, matrix, marks);
    const target = folder.path("target.mp4");
    await cutVideo(ffmpeg, foreign, { start: 0, end: 2 }, target);
    expect(worst(await meanColours(target), [colour, colour])).toBeLessThanOrEqual(3);
    const picture = folder.path("frame.png");
    await extractFrame(ffmpeg, target, 1, picture);
    expect(worst(await meanColours(picture), [colour])).toBeLessThanOrEqual(3);
  });

  it("are multiplied by 1 + brightness in R, G and B, and clipped", async () => {
    const video = await colourClip(folder.path("video.mp4"), [
      [100, 60, 40],
      [200, 190, 180],
    ]);
    const target = folder.path("target.mp4");
    expect(await adjustVideo(ffmpeg, video, { brightness: 0.5 }, target)).toBe(2);
    expect(
      worst(await meanColours(target), [
        [150, 90, 60],
        [255, 255, 255],
      ]),
    ).toBeLessThanOrEqual(4);
    expect(await adjustVideo(ffmpeg, video, { brightness: -0.25 }, target)).toBe(2);
    expect(
      worst(await meanColours(target), [
        [75, 45, 30],
        [150, 142.5, 135],
      ]),
    ).toBeLessThanOrEqual(4);
  });

  it("lose or gain saturation and keep their light", async () => {
    const video = await colourClip(folder.path("video.mp4"), [[150, 100, 80]]);
    const target = folder.path("target.mp4");
    const light = 0.2126 * 150 + 0.7152 * 100 + 0.0722 * 80;
    for (const saturation of [0, 0.5, 1.4]) {
      await adjustVideo(ffmpeg, video, { saturation }, target);
      const expected = [150, 100, 80].map((value) => light + (value - light) * saturation);
      expect(worst(await meanColours(target), [expected as unknown as Colour])).toBeLessThanOrEqual(4);
    }
  });
});

describe("matching colours", () => {
  const picture = fc.uint8Array({ minLength: 48, maxLength: 48 });

  it("changes nothing when source and references are the same, and comes back from Lab within one step", () => {
    fc.assert(
      fc.property(picture, (rgb) => {
        const stats = labStats(rgb);
        const changed = Uint8Array.from(rgb);
        changeLab(changed, changeBetween(stats, stats, stats, 0.3));
        expect(Math.max(...changed.map((value, at) => Math.abs(value - (rgb[at] ?? 0))))).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("reads Lab as the CIE defines it", () => {
    const of = (colour: Colour) => labStats(colourFrame({ width: 2, height: 2 }, colour)).mean;
    const off = (colour: Colour, expected: Colour) =>
      Math.max(...of(colour).map((value, at) => Math.abs(value - (expected[at] ?? 0))));
    expect(off([255, 255, 255], [100, 0, 0])).toBeLessThan(0.1);
    expect(off([0, 0, 0], [0, 0, 0])).toBeLessThan(0.1);
    expect(off([255, 0, 0], [53.24, 80.09, 67.2])).toBeLessThan(0.1);
    expect(off([0, 128, 255], [54.72, 18.78, -70.93])).toBeLessThan(0.1);
  });

  it("keeps a tenth of the light's spread and four tenths of the colours' at least", () => {
    const varied = { mean: [50, 0, 0], deviation: [20, 10, 10] } as const;
    const flat = { mean: [70, 5, 5], deviation: [0, 0, 0] } as const;
    expect(changeBetween(varied, flat, flat, 0).ratio).toEqual([0.1, 0.4, 0.4]);
    expect(changeBetween(flat, varied, varied, 0).ratio).toEqual([1, 1, 1]);
  });

  it("leads a video from the first reference's colours to those of the last", async () => {
    const video = await colourClip(
      folder.path("video.mp4"),
      Array.from({ length: 5 }, () => [120, 120, 120] as const),
    );
    const [start, end] = [folder.path("start.png"), folder.path("end.png")];
    await extractFrame(ffmpeg, await colourClip(folder.path("first.mp4"), [[180, 90, 60]]), 0, start);
    await extractFrame(ffmpeg, await colourClip(folder.path("last.mp4"), [[60, 110, 190]]), 0, end);
    const target = folder.path("target.mp4");
    expect(await matchColours(ffmpeg, video, { start, end }, target)).toBe(5);
    const seen = await meanColours(target);
    expect(
      worst(
        [seen[0] ?? [0, 0, 0], seen[4] ?? [0, 0, 0]],
        [
          [180, 90, 60],
          [60, 110, 190],
        ],
      ),
    ).toBeLessThanOrEqual(5);
    const reds = seen.map(([red]) => red);
    expect(reds).toEqual(reds.toSorted((a, b) => b - a));
  });
});
