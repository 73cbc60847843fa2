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

/** A guide's grey 128 where nothing guides, in the limited range and after compression. */
const [FREE_FROM, FREE_TO] = [120, 136];

/**
 * The gaps that a mask leaves in a guide of so many frames; the last frame of each is repeated. Frames that the mask gives free but
 * in which something guides are no gaps. Null: the mask has a frame that is neither black nor white all over.
 * @throws Error naming the file that cannot be read
 */
export async function gapsOf(ffmpeg: Ffmpeg, mask: string, guide: string, frames: number): Promise<Gap[] | null> {
  const isMade: boolean[] = [];
  for (const cells of await cellsOf(ffmpeg, mask, frames)) {
    const isWhite = cells.every((cell) => cell >= WHITE);
    if (!isWhite && !cells.every((cell) => cell <= BLACK)) {
      return null;
    }
    isMade.push(isWhite);
  }
  const isFree = (await cellsOf(ffmpeg, guide, frames)).map((cells) =>
    cells.every((cell) => cell >= FREE_FROM && cell <= FREE_TO),
  );
  const made = Array.from(
    { length: frames },
    (_, at) => (isMade[at] ?? isMade.at(-1)) && (isFree[at] ?? isFree.at(-1)),
  );
  return gapsBetween(made.map(Boolean), frames);
}

/** Each frame of a video, at a size of a few cells, in grey. */
async function cellsOf({ path, signal }: Ffmpeg, video: string, frames: number): Promise<Uint8Array[]> {
  const reading = execa(
    path,
    [
      ["-hide_banner", "-nostdin", "-loglevel", "error", "-i", video, "-map", "0:v:0", "-frames:v", String(frames)],
      ["-vf", `scale=${CELLS}:${CELLS}:flags=area,format=gray,settb=1/25,setpts=N`, "-r", "25"],
      ["-f", "rawvideo", "pipe:1"],
    ].flat(),
    {
      encoding: "buffer",
      // The last pixel may look like a line break.
      stripFinalNewline: false,
      stdin: "ignore",
      cancelSignal: signal,
      killSignal: "SIGKILL",
      reject: false,
    },
  );
  yieldProcessor(reading.pid);
  const { failed, stdout, stderr } = await reading;
  signal.throwIfAborted();
  if (failed) {
    throw new Error(`${video} cannot be read: ${cutToEnd(Buffer.from(stderr).toString().trim(), 300)}`);
  }
  const count = stdout.length / (CELLS * CELLS);
  return Array.from({ length: count }, (_, at) => stdout.subarray(at * CELLS * CELLS, (at + 1) * CELLS * CELLS));
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
