import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { findFfmpeg } from "../../gpu-worker/video/ffmpeg.ts";

/** The paths of small pictures and clips for trying things out: 128 × 96 px, clips of 25 frames at 16 fps. */
export interface Samples {
  readonly pictures: readonly [string, string, string];
  /** White where something is to be made anew, else black. */
  readonly mask: string;
  /** The second has sound. */
  readonly clips: readonly [string, string];
}

const SIZE = "128x96";
const RATE = 16;
const CLIP_SEC = 25 / RATE;
const PICTURE = ["-frames:v", "1", "-f", "image2"];
const CLIP = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-f", "mp4"];
const SAME_BYTES = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"];

/** Colours that flow over each other; `seed` from 1 on tells the scenes apart. */
function scene(seed: number): string {
  const wave = (shift: number) =>
    `128+120*sin(X/${18 + 7 * seed}+Y/${11 + 5 * shift}+T*${1 + shift}+${seed * 2 + shift})`;
  return (
    `color=c=black:s=${SIZE}:r=${RATE}:d=${CLIP_SEC},format=gbrp,` +
    `geq=r='${wave(0)}':g='${wave(1)}':b='${wave(2)}',setsar=1`
  );
}

const MASK = `color=c=black:s=${SIZE}:r=${RATE},drawbox=x=32:y=24:w=64:h=48:color=white:t=fill,setsar=1`;

/** Makes the files in a folder, which may have them already. The same program makes the same bytes. @throws Error when ffmpeg fails */
export async function makeSamples(folder: string, ffmpegPath: string | null = null): Promise<Samples> {
  const ffmpeg = await findFfmpeg(ffmpegPath);
  await mkdir(folder, { recursive: true });
  async function make(name: string, source: string, args: readonly string[]): Promise<string> {
    const path = join(folder, name);
    const input = ["-f", "lavfi", "-i", source];
    await execa(ffmpeg, [
      "-hide_banner",
      "-nostdin",
      "-y",
      "-loglevel",
      "error",
      ...input,
      ...args,
      ...SAME_BYTES,
      `${path}.part`,
    ]);
    await rename(`${path}.part`, path);
    return path;
  }
  const png = ["-c:v", "png", "-pix_fmt", "rgb24", ...PICTURE];
  const tone = ["-f", "lavfi", "-i", `sine=frequency=330:duration=${CLIP_SEC}`, "-c:a", "aac", "-b:a", "48k"];
  return {
    pictures: [
      await make("picture_1.png", scene(1), png),
      await make("picture_2.png", scene(2), png),
      await make("picture_3.png", scene(3), png),
    ],
    mask: await make("mask.png", MASK, png),
    clips: [await make("clip_1.mp4", scene(1), CLIP), await make("clip_2.mp4", scene(2), [...tone, ...CLIP])],
  };
}
