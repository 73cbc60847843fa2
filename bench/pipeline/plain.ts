import { join } from "node:path";
import { encodeArgs } from "../../src/gpu-worker/video/encoding.ts";
import type { Ffmpeg } from "../../src/gpu-worker/video/ffmpeg.ts";
import { FPS, FRAMES, type Given, OVERLAP, SIZE } from "./travel.ts";

const AREA = `s=${SIZE.width}x${SIZE.height}:r=${FPS}`;

/** The same files by one plain ffmpeg command each, with the same settings of the encoder. */
export async function plainAroundSegments(ffmpeg: Ffmpeg, given: Given, folder: string): Promise<void> {
  for (const [index, segment] of given.segments.entries()) {
    const [previous, picture] = [given.segments[index - 1], given.pictures[index] ?? ""];
    const kept = previous === undefined ? 1 : OVERLAP;
    const start =
      previous === undefined
        ? "[0:v]format=yuv420p,setsar=1[start]"
        : `[0:v]trim=start_frame=${FRAMES - OVERLAP},setpts=PTS-STARTPTS,setsar=1[start]`;
    const grey = `color=c=0x808080:${AREA},trim=end_frame=${FRAMES - kept - 1},format=yuv420p,setsar=1[grey]`;
    const graph = `${start};${grey};[1:v]format=yuv420p,setsar=1[end];[start][grey][end]concat=n=3,setpts=N/${FPS}/TB`;
    const inputs = ["-i", previous ?? given.pictures[0] ?? "", "-i", picture];
    const length = ["-frames:v", String(FRAMES)];
    const coded = [...length, ...encodeArgs(FPS, "helper")];
    await ffmpeg.run([...inputs, "-filter_complex", graph, ...coded, join(folder, `plain-guide${index}.mp4`)]);
    const flat = (name: string, frames: number) => `color=c=${name}:${AREA},trim=end_frame=${frames}`;
    const mask = `${flat("black", kept)}[a];${flat("white", FRAMES - kept - 1)}[b];${flat("black", 1)}[c];[a][b][c]concat=n=3`;
    await ffmpeg.run(["-filter_complex", mask, ...coded, join(folder, `plain-mask${index}.mp4`)]);
    await thumbnail(ffmpeg, segment, join(folder, `plain-thumbnail${index}.jpg`));
  }
}

/** The segments one after the other, each without the frames that it shares with the one before: as many frames, and no cross-fade. */
export async function plainStitch(ffmpeg: Ffmpeg, { segments }: Given, folder: string): Promise<void> {
  const target = join(folder, "plain-stitched.mp4");
  const cuts = segments.map((_, index) => {
    return `[${index}:v]trim=start_frame=${index === 0 ? 0 : OVERLAP},setpts=PTS-STARTPTS[v${index}]`;
  });
  const joined = `${segments.map((_, index) => `[v${index}]`).join("")}concat=n=${segments.length}`;
  const inputs = segments.flatMap((path) => ["-i", path]);
  await ffmpeg.run([...inputs, "-filter_complex", [...cuts, joined].join(";"), ...encodeArgs(FPS), target]);
  await thumbnail(ffmpeg, target, join(folder, "plain-stitched.jpg"));
}

async function thumbnail(ffmpeg: Ffmpeg, video: string, target: string): Promise<void> {
  await ffmpeg.run(["-i", video, "-frames:v", "1", "-q:v", "3", "-f", "image2", target]);
}
