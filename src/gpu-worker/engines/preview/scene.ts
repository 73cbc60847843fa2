import { type Drawing, drawingOf } from "./drawing.ts";
import type { Gap } from "./mask-frames.ts";

/** Files of which a scene is made, where a task has them. */
export interface Sources {
  /** The first picture, or the one that is to be changed. */
  readonly start?: string | undefined;
  readonly end?: string | undefined;
  readonly guide?: string | undefined;
  /** White where the guide, or else the first picture, is to be replaced. */
  readonly mask?: string | undefined;
}

/** Inputs of ffmpeg and a filter graph that ends in the stream `[scene]`. */
export interface Scene {
  readonly files: readonly string[];
  readonly graph: string;
}

type Shape = Pick<Drawing, "width" | "height" | "fps"> & { readonly every?: number };

/** Gathers the parts of a scene. */
function createScene(shape: Shape) {
  const files: string[] = [];
  const parts: string[] = [];
  return {
    add: (part: string) => void parts.push(part),
    /** @param frame only this one, all the time; left out: all, each at its time */
    open(file: string, to: string, frame?: number) {
      parts.push(fileStream(`${files.length}:v:0`, to, shape, frame));
      files.push(file);
    },
    /** `[above]` over `[below]`, where `[mask]` is white. */
    merge(below: string, above: string, mask: string, to: string) {
      parts.push(
        ...[below, above, mask].map((each) => `[${each}]format=gbrp[${each}_rgb]`),
        `[${below}_rgb][${above}_rgb][${mask}_rgb]maskedmerge,` +
          `scale=out_color_matrix=bt709:out_range=tv,format=yuv420p[${to}]`,
      );
    },
    end: (stream: string): Scene => ({ files, graph: [...parts, `[${stream}]null[scene]`].join(";") }),
  };
}

/**
 * Without files: moving colours and a disc, which prompt and seed decide. A first picture takes the colours' place; towards a
 * last one it fades. A guide takes the place of all that, except where its mask is white.
 * @param frames 1 for a picture
 */
export function sceneOf(shape: Drawing, frames: number, { start, end, guide, mask }: Sources): Scene {
  const scene = createScene(shape);
  const drawing = drawingOf(shape);
  const kept = guide ?? start;
  if (guide !== undefined && mask === undefined) {
    scene.open(guide, "guide");
    scene.add(drawing.disc("guide", "led"));
    return scene.end("led");
  }
  if (start !== undefined && end !== undefined && frames > 1) {
    addFade(scene, shape, frames, [start, end]);
  } else if (start !== undefined && mask === undefined) {
    scene.open(start, "start");
    scene.add(drawing.disc("start", "made"));
  } else {
    scene.add(drawing.colours("colours"));
    scene.add(drawing.disc("colours", "made"));
  }
  if (mask === undefined || kept === undefined) {
    return scene.end("made");
  }
  scene.open(kept, "kept");
  scene.open(mask, "mask");
  scene.merge("kept", "made", "mask", "merged");
  return scene.end("merged");
}

/**
 * A guide whose gaps are filled: from the kept frame before to the one after, or with the one that there is.
 * @param gaps none of them is the whole video
 */
export function filledScene(shape: Shape, guide: string, gaps: readonly Gap[]): Scene {
  const scene = createScene(shape);
  let below = "guide";
  scene.open(guide, below);
  for (const [index, { keptBefore, keptAfter }] of gaps.entries()) {
    const first = keptBefore ?? keptAfter ?? 0;
    const last = keptAfter ?? first;
    const [before, after, share, fill, filled] = ["before", "after", "share", "fill", "filled"].map(
      (name) => `${name}${index}`,
    ) as [string, string, string, string, string];
    scene.open(guide, before, first);
    scene.open(guide, after, last);
    scene.add(ramp(shape, first, Math.max(1, last - first), share));
    scene.merge(before, after, share, fill);
    const until = keptAfter === null ? "" : `*lt(n,${keptAfter})`;
    scene.add(`[${below}][${fill}]overlay=format=yuv420:enable='gt(n,${keptBefore ?? -1})${until}'[${filled}]`);
    below = filled;
  }
  return scene.end(below);
}

/** From one picture to another; the first frame is the one, the last frame the other. */
export function fadeScene(shape: Shape, frames: number, pictures: readonly [string, string]): Scene {
  const scene = createScene(shape);
  addFade(scene, shape, frames, pictures);
  return scene.end("made");
}

function addFade(
  scene: ReturnType<typeof createScene>,
  shape: Shape,
  frames: number,
  [start, end]: readonly [string, string],
): void {
  scene.open(start, "start");
  scene.open(end, "end");
  scene.add(ramp(shape, 0, Math.max(1, frames - 1), "share"));
  scene.merge("start", "end", "share", "made");
}

/** Black up to the frame `first`, and white `frames` later. */
function ramp({ width, height, fps }: Shape, first: number, frames: number, to: string): string {
  return `color=c=white:s=${width}x${height}:r=${fps},format=rgb24,fade=in:${first}:${frames}[${to}]`;
}

/** One file, changed by filters. @param every how many frames each frame of a video is shown */
export function fileScene(shape: Shape, file: string, filters: string, every = 1): Scene {
  const scene = createScene({ ...shape, every });
  scene.open(file, "file");
  scene.add(`[file]${filters}[changed]`);
  return scene.end("changed");
}

/** A picture, or a video frame by frame, at the scene's rate and size, cropped to its shape. The last frame is repeated. */
function fileStream(from: string, to: string, { width, height, fps, every = 1 }: Shape, frame?: number): string {
  const only = frame === undefined ? "" : `trim=start_frame=${frame}:end_frame=${frame + 1},`;
  return (
    // Where pixels share their colours, this source has even sides only.
    `color=c=black:s=${width}x${height}:r=${fps},format=yuv444p,format=yuv420p[${to}_base];` +
    // Rounded down: a frame that came a moment late would be shown one frame late.
    `[${from}]${only}settb=1/1000000,setpts=floor(N*${every}*1000000/${fps}),` +
    `scale=${width}:${height}:force_original_aspect_ratio=increase:flags=bicubic:out_color_matrix=bt709:out_range=tv,` +
    // Only without shared colours can a picture be cropped to an odd size.
    `format=yuv444p,crop=${width}:${height},setsar=1,format=yuv420p[${to}_file];` +
    `[${to}_base][${to}_file]overlay=format=yuv420[${to}]`
  );
}
