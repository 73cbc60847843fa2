import { execa } from "execa";
import { cutToEnd } from "../../../../supabase/functions/_shared/text.ts";
import { type Ffmpeg, yieldProcessor } from "../../video/ffmpeg.ts";

/** A run of frames that are to be made, and the kept frames beside it; null: it reaches to that end of the video. */
export interface Gap {
  readonly keptBefore: number | null;
  readonly keptAfter: number | null;
}

const CELLS = 8;
const BLACK = 32;
const WHITE = 223;

/**
 * The gaps that a mask leaves in a video of so many frames; its last frame is repeated. Null: the mask has a frame that is neither
 * black nor white all over.
 * @throws Error naming the mask when it cannot be read
 */
export async function gapsOf({ path, signal }: Ffmpeg, mask: string, frames: number): Promise<Gap[] | null> {
  const reading = execa(
    path,
    [
      ["-hide_banner", "-nostdin", "-loglevel", "error", "-i", mask, "-map", "0:v:0", "-frames:v", String(frames)],
      ["-vf", `scale=${CELLS}:${CELLS}:flags=area,format=gray,settb=1/25,setpts=N`, "-r", "25"],
      ["-f", "rawvideo", "pipe:1"],
    ].flat(),
    { encoding: "buffer", stdin: "ignore", cancelSignal: signal, killSignal: "SIGKILL", reject: false },
  );
  yieldProcessor(reading.pid);
  const { failed, stdout, stderr } = await reading;
  signal.throwIfAborted();
  if (failed) {
    throw new Error(`the mask ${mask} cannot be read: ${cutToEnd(Buffer.from(stderr).toString().trim(), 300)}`);
  }
  const isMade: boolean[] = [];
  for (let at = 0; at < stdout.length; at += CELLS * CELLS) {
    const cells = stdout.subarray(at, at + CELLS * CELLS);
    const isWhite = cells.every((cell) => cell >= WHITE);
    if (!isWhite && !cells.every((cell) => cell <= BLACK)) {
      return null;
    }
    isMade.push(isWhite);
  }
  return gapsBetween(isMade, frames);
}

function gapsBetween(isMade: readonly boolean[], frames: number): Gap[] {
  const gaps: Gap[] = [];
  const last = isMade.at(-1) ?? false;
  let keptBefore: number | null = null;
  let isOpen = false;
  for (let frame = 0; frame < frames; frame += 1) {
    if (isMade[frame] ?? last) {
      isOpen = true;
    } else {
      if (isOpen) {
        gaps.push({ keptBefore, keptAfter: frame });
      }
      isOpen = false;
      keptBefore = frame;
    }
  }
  return isOpen ? [...gaps, { keptBefore, keptAfter: null }] : gaps;
}
