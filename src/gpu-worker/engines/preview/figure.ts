import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { drawPoses } from "../../video/frames/draw-pose.ts";
import { frameBytes, type Size } from "../../video/frames/format.ts";
import type { Pose } from "../../video/frames/poses.ts";

/** OpenPose's points of a person who stands upright, as shares of the sides: nose, neck, arms, legs, eyes, ears. */
const STANDING: readonly (readonly [number, number])[] = [
  [0.5, 0.16],
  [0.5, 0.27],
  [0.41, 0.28],
  [0.36, 0.41],
  [0.33, 0.53],
  [0.59, 0.28],
  [0.64, 0.41],
  [0.67, 0.53],
  [0.45, 0.54],
  [0.44, 0.72],
  [0.43, 0.9],
  [0.55, 0.54],
  [0.56, 0.72],
  [0.57, 0.9],
  [0.48, 0.14],
  [0.52, 0.14],
  [0.45, 0.15],
  [0.55, 0.15],
];
const SWAY = 0.12;

/** A person where a pose would be found: the picture's bytes decide how it stands, nothing of what it shows. */
export async function figureFor(picture: string): Promise<Pose> {
  const digest = createHash("sha256")
    .update(await readFile(picture))
    .digest();
  const sway = (at: number) => ((digest[at] ?? 0) / 255 - 0.5) * SWAY;
  const [x, y] = [sway(30), sway(31) / 4];
  return STANDING.map(([left, top], at) => ({
    x: left + x + (at === 4 || at === 7 ? sway(at) : 0),
    y: top + y + (at === 4 || at === 7 ? sway(at + 10) : 0),
    confidence: 1,
  }));
}

/** Writes people on black as a picture that ffmpeg reads (PPM). */
export async function writeFigures(people: readonly Pose[], size: Size, target: string): Promise<void> {
  const frame = Buffer.alloc(frameBytes("rgb24", size));
  drawPoses(frame, size, people);
  await writeFile(target, Buffer.concat([Buffer.from(`P6\n${size.width} ${size.height}\n255\n`), frame]));
}
