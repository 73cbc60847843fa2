import type { Ffmpeg } from "./ffmpeg.ts";
import { drawPoses } from "./frames/draw-pose.ts";
import { frameBytes, type Size } from "./frames/format.ts";
import { interpolatePoses, type Pose } from "./frames/poses.ts";
import { encodeFrames } from "./write-video.ts";

interface Movement {
  readonly first: readonly Pose[];
  readonly last: readonly Pose[];
  readonly frames: number;
  readonly fps: number;
  readonly size: Size;
}

/**
 * Writes a video in which people move from one pose to another, drawn on black. Who is in one of the pictures only appears or goes
 * on the way. @returns `frames`. @throws FramesError as interpolatePoses does
 */
export async function writePoseVideo(
  ffmpeg: Ffmpeg,
  { first, last, frames, fps, size }: Movement,
  target: string,
): Promise<number> {
  const count = Math.max(first.length, last.length);
  const people = Array.from({ length: count }, (_, at) =>
    interpolatePoses(first[at] ?? unseen(last[at]), last[at] ?? unseen(first[at]), frames),
  );

  async function* drawn() {
    const buffers = [Buffer.alloc(frameBytes("rgb24", size)), Buffer.alloc(frameBytes("rgb24", size))] as const;
    for (let at = 0; at < frames; at += 1) {
      const frame = buffers[(at % 2) as 0 | 1].fill(0);
      drawPoses(
        frame,
        size,
        people.map((poses) => poses[at] ?? []),
      );
      yield frame;
    }
  }
  return await encodeFrames(ffmpeg, target, { size, format: "rgb24", fps, care: "helper" }, drawn());
}

function unseen(pose: Pose = []): Pose {
  return pose.map(() => ({ x: 0, y: 0, confidence: 0 }));
}
