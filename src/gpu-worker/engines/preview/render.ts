import { rename, rm } from "node:fs/promises";
import type { Ffmpeg } from "../../video/ffmpeg.ts";
import type { Make } from "../engine.ts";
import { markGraph } from "./mark.ts";
import type { Scene } from "./scene.ts";

type Video = Extract<Make, { kind: "video" }>;

/** Writes the scene with the mark as H.264, of exactly the length. Leaves no file when it fails. */
export async function renderVideo(
  ffmpeg: Ffmpeg,
  scene: Scene,
  make: Video,
  path: string,
  onFrame: (frame: number) => void,
): Promise<void> {
  const graph = `${scene.graph};${markGraph("scene", "marked", make, "yuv420")};[marked]setsar=1,format=yuv420p[v]`;
  await write(path, async (partPath) => {
    const frames = await ffmpeg.run([...inputs(scene, graph), ...encoding(make), "-f", "mp4", partPath], onFrame);
    if (frames !== make.frames) {
      throw new Error(`ffmpeg wrote ${frames} of ${make.frames} frames`);
    }
  });
}

/** Writes the first picture of the scene with the mark as PNG. Leaves no file when it fails. */
export async function renderPicture(
  ffmpeg: Ffmpeg,
  scene: Scene,
  size: { readonly width: number; readonly height: number },
  path: string,
): Promise<void> {
  const graph =
    `${scene.graph};[scene]scale=in_color_matrix=bt709,format=rgb24[rgb];` +
    `${markGraph("rgb", "marked", size, "rgb")};[marked]format=rgb24[v]`;
  await write(path, async (partPath) => {
    const picture = ["-frames:v", "1", "-c:v", "png", "-fflags", "+bitexact", "-f", "image2"];
    await ffmpeg.run([...inputs(scene, graph), ...picture, partPath]);
  });
}

function inputs({ files }: Scene, graph: string): string[] {
  const opened = files.flatMap((file) => ["-i", file]);
  return [...opened, "-filter_complex_threads", "1", "-filter_complex", graph, "-map", "[v]"];
}

/** The file appears under its name only when it is whole. */
async function write(path: string, render: (partPath: string) => Promise<void>): Promise<void> {
  const partPath = path.replace(/(\.\w+)$/, ".part$1");
  try {
    await render(partPath);
    await rename(partPath, path);
  } catch (error) {
    await rm(partPath, { force: true });
    throw error;
  }
}

function encoding({ frames, fps }: Video): string[] {
  return [
    ["-frames:v", String(frames), "-r", String(fps), "-threads", "1"],
    ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"],
    ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"],
    // Leaves out the names of encoder and muxer: equal input gives equal bytes, so a repeated upload is recognised.
    ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart"],
  ].flat();
}
