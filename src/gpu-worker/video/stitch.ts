import { rm } from "node:fs/promises";
import { addStitchedSound } from "./audio.ts";
import type { Ffmpeg } from "./ffmpeg.ts";
import { type FrameRange, FramesError, type Placement, placeParts } from "./frames/arithmetic.ts";
import { createCrossFade, fadeAlpha } from "./frames/cross-fade.ts";
import { type Size, evenSize, frameBytes } from "./frames/format.ts";
import { CountError, type Measure, withLengths } from "./measure.ts";
import { type FrameReader, readFrames } from "./read-frames.ts";
import { encodeFrames } from "./write-video.ts";

export interface StitchPart {
  readonly path: string;
  /** The frames of the file to use; all without it. */
  readonly range?: FrameRange;
  /** How many frames the file has, or at least as many as the range needs; without it, the file is measured first. */
  readonly frames?: number;
}

export interface StitchOptions {
  /** MP4, replaced if it exists. */
  readonly target: string;
  /** The size of the first part without it. */
  readonly size?: Size;
  /** Of the result; frames are neither added nor dropped for it. */
  readonly fps: number;
  /** How much cross-faded frames are sharpened, 0 to 1. */
  readonly sharpen?: number;
  /** `keep`: the parts' sound, cross-faded as the frames are; parts without sound are silent. Drops it by default. */
  readonly audio?: "keep" | "drop";
  /** How many frames of the result are written. */
  readonly onFrame?: (frames: number) => void;
}

interface Source {
  readonly path: string;
  readonly range: FrameRange;
  /** Whether the file has nothing after the range. */
  readonly isWhole: boolean;
  readonly size: Size | null;
  readonly hasAudio: boolean;
  readonly fps: number;
}

interface Composition {
  readonly sources: readonly Source[];
  readonly placements: readonly Placement[];
  readonly size: Size;
  readonly sharpen: number;
}

const FORMAT = "yuv420p";
/** Readers start that many frames before they are needed: a program takes a moment to start. */
const AHEAD_FRAMES = 12;
const SHARPEN = 0.3;

/**
 * Joins parts to one video. `overlaps[i]` frames at the end of part i are cross-faded with the beginning of part i + 1, so the
 * result has exactly Σ frames − Σ overlaps frames. Memory grows neither with the length nor with the overlaps.
 * @returns the number of frames of the result.
 * @throws FramesError when overlaps or ranges do not fit the parts; Error naming the part that cannot be decoded, or that ended early.
 */
export async function stitchVideos(
  ffmpeg: Ffmpeg,
  parts: readonly StitchPart[],
  overlaps: readonly number[],
  options: StitchOptions,
): Promise<number> {
  return await withLengths((measure) => stitchMeasured(ffmpeg, parts, overlaps, options, measure));
}

async function stitchMeasured(
  ffmpeg: Ffmpeg,
  parts: readonly StitchPart[],
  overlaps: readonly number[],
  options: StitchOptions,
  measure: Measure,
): Promise<number> {
  const sources: Source[] = [];
  for (const part of parts) {
    sources.push(await findSource(ffmpeg, part, options, measure));
  }
  const placements = placeParts(sources.map(lengthOf), overlaps);
  const size = options.size ?? evenSize(sources[0]?.size as Size);
  const { target, fps, sharpen = SHARPEN, onFrame } = options;
  const write = (path: string) => {
    const frames = stitchedFrames(ffmpeg, { sources, placements, size, sharpen });
    return encodeFrames(ffmpeg, path, { size, format: FORMAT, fps }, frames, onFrame);
  };
  if (!sources.some(({ hasAudio }) => hasAudio)) {
    return await write(target);
  }
  const silent = `${target}.silent.mp4`;
  try {
    const frames = await write(silent);
    await addStitchedSound(ffmpeg, silent, sources, overlaps, { fps, target });
    return frames;
  } finally {
    await rm(silent, { force: true });
  }
}

function lengthOf({ range: { start, end } }: Source): number {
  return end - start;
}

/** Measures what is not known about a part. */
async function findSource(
  ffmpeg: Ffmpeg,
  part: StitchPart,
  { size, fps, audio }: StitchOptions,
  measure: Measure,
): Promise<Source> {
  const known = part.frames !== undefined && size !== undefined && audio !== "keep";
  const measured = known ? null : await measure(ffmpeg, part.path);
  const frames = part.frames ?? measured?.frames ?? 0;
  const range = part.range ?? { start: 0, end: frames };
  if (range.start < 0 || range.end > frames) {
    throw new FramesError(`frames ${range.start} to ${range.end} are not in ${part.path}, which has ${frames} frames`);
  }
  const hasAudio = audio === "keep" && measured !== null && measured.hasAudio;
  // A caller that names a range may know no more than that the file has it.
  const isWhole = range.end === frames && (part.range === undefined || part.frames === undefined);
  return { path: part.path, range, isWhole, size: measured, hasAudio, fps: measured?.fps ?? fps };
}

/** The frames of the result, one after the other, in two buffers by turns. */
async function* stitchedFrames(ffmpeg: Ffmpeg, { sources, placements, size, sharpen }: Composition) {
  const crossFade = createCrossFade(FORMAT, size, sharpen);
  const [even, odd, later] = buffersFor(size);
  const readers = new Map<number, FrameReader>();
  let opened = 0;

  async function compose(at: number, frame: Buffer): Promise<void> {
    let isFirst = true;
    for (const [index, reader] of readers) {
      const { start, end, fade } = placements[index] as Placement;
      if (at < start) {
        return;
      }
      if (!(await reader.read(isFirst ? frame : later))) {
        throw new CountError(`${sources[index]?.path} ended early: its frame ${at - start} is missing`);
      }
      if (!isFirst) {
        crossFade(frame, later, fadeAlpha(at - start, fade));
      }
      isFirst = false;
      if (at + 1 === end) {
        if (sources[index]?.isWhole === true && (await reader.read(later))) {
          throw new CountError(`${sources[index].path} has more than ${end - start} frames`);
        }
        readers.delete(index);
        await reader.close();
      }
    }
  }

  try {
    const total = placements.at(-1)?.end ?? 0;
    for (let at = 0; at < total; at += 1) {
      for (; (placements[opened]?.start ?? Infinity) <= at + AHEAD_FRAMES; opened += 1) {
        const { path, range, isWhole } = sources[opened] as Source;
        readers.set(
          opened,
          readFrames(ffmpeg, path, { size, format: FORMAT, range: isWhole ? { start: range.start } : range }),
        );
      }
      const frame = at % 2 === 0 ? even : odd;
      await compose(at, frame);
      yield frame;
    }
  } finally {
    await Promise.all([...readers.values()].map((reader) => reader.close()));
  }
}

function buffersFor(size: Size): [Buffer, Buffer, Buffer] {
  const buffer = () => Buffer.allocUnsafe(frameBytes(FORMAT, size));
  return [buffer(), buffer(), buffer()];
}
