import type { Ffmpeg } from "./ffmpeg.ts";
import type { FrameRange } from "./frames/arithmetic.ts";
import { hasSound } from "./measure.ts";

export interface SoundPart {
  readonly path: string;
  /** The frames whose sound is used. */
  readonly range: FrameRange;
  readonly fps: number;
  readonly hasAudio: boolean;
}

const ENCODE = [
  "-c:v",
  "copy",
  "-c:a",
  "aac",
  "-b:a",
  "192k",
  "-map_metadata",
  "-1",
  "-movflags",
  "+faststart",
  "-f",
  "mp4",
];
const EVEN = "aresample=48000,aformat=sample_fmts=fltp:channel_layouts=stereo";

/**
 * Writes `video` with the sound of `sound`, which may be a video, from `fromSec` on. Frames are copied as they are: a longer sound is
 * cut, a shorter one is followed by silence. Without sound in `sound` the video is copied as it is.
 */
export async function addSound(
  ffmpeg: Ffmpeg,
  video: string,
  sound: string,
  target: string,
  fromSec = 0,
): Promise<void> {
  if (!(await hasSound(ffmpeg, sound))) {
    await ffmpeg.run(["-i", video, "-map", "0:v:0", "-c", "copy", "-movflags", "+faststart", "-f", "mp4", target]);
    return;
  }
  const filter = `[1:a:0]atrim=start=${fromSec},asetpts=PTS-STARTPTS,apad[sound]`;
  const maps = ["-filter_complex", filter, "-map", "0:v:0", "-map", "[sound]"];
  await ffmpeg.run(["-i", video, "-i", sound, ...maps, ...ENCODE, "-shortest", target]);
}

/**
 * Writes a stitched video with the sound of its parts, joined as their frames are: cross-faded where they overlap. A part without
 * sound is silent; one whose rate differs from the video's is played as much faster or slower as its frames are.
 */
export async function addStitchedSound(
  ffmpeg: Ffmpeg,
  video: string,
  parts: readonly SoundPart[],
  overlaps: readonly number[],
  { fps, target }: { readonly fps: number; readonly target: string },
): Promise<void> {
  const sounding = parts.filter(({ hasAudio }) => hasAudio);
  const inputs = sounding.flatMap(({ path }) => ["-i", path]);
  const chains = parts.map((part, index) => `${soundOf(part, sounding.indexOf(part) + 1, fps)}[part${index}]`);
  const joins = overlaps.map((overlap, index) => {
    const [before, after] = [index === 0 ? "part0" : `joined${index}`, `part${index + 1}`];
    const how = overlap === 0 ? "concat=v=0:a=1" : `acrossfade=d=${overlap / fps}:c1=tri:c2=tri`;
    return `[${before}][${after}]${how}[joined${index + 1}]`;
  });
  const last = overlaps.length === 0 ? "[part0]" : `[joined${overlaps.length}]`;
  const graph = ["-filter_complex", [...chains, ...joins].join(";"), "-map", "0:v:0", "-map", last];
  await ffmpeg.run(["-i", video, ...inputs, ...graph, ...ENCODE, target]);
}

function soundOf({ range, fps: ownFps, hasAudio }: SoundPart, input: number, fps: number): string {
  const sec = (range.end - range.start) / fps;
  if (!hasAudio) {
    return `anullsrc=r=48000:cl=stereo,${EVEN},atrim=end=${sec}`;
  }
  const cut = `atrim=start=${range.start / ownFps}:end=${range.end / ownFps},asetpts=PTS-STARTPTS`;
  return [`[${input}:a:0]${cut}`, ...tempo(fps / ownFps), EVEN, "apad", `atrim=end=${sec}`].join(",");
}

/** The filter changes a tempo by half to double, so a greater change takes several. */
function tempo(factor: number): string[] {
  if (Math.abs(factor - 1) < 1e-6) {
    return [];
  }
  const step = Math.min(2, Math.max(0.5, factor));
  return [`atempo=${step}`, ...tempo(factor / step)];
}
