import { join } from "node:path";
import { execa } from "execa";
import { createFfmpeg, findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";

interface Sample {
  readonly width?: number;
  readonly height?: number;
  readonly frames?: number;
  readonly fps?: number;
  /** Any colour that ffmpeg knows, such as "red" or "0x204060"; "test" is ffmpeg's moving test picture. */
  readonly colour?: string;
  /** Filters of ffmpeg that change it, such as "drawbox=…". */
  readonly filters?: string;
}

/** Makes a small picture or, by its name's ending, video in the folder. @returns its path */
export async function makeSample(folder: string, name: string, sample: Sample = {}): Promise<string> {
  const { width = 64, height = 48, frames = 9, fps = 16, colour = "test", filters = "null" } = sample;
  const path = join(folder, name);
  const size = `s=${width}x${height}:r=${fps}`;
  const source = colour === "test" ? `testsrc=${size},${filters}` : `color=c=${colour}:${size},${filters}`;
  const isVideo = name.endsWith(".mp4");
  const output = isVideo
    ? ["-frames:v", String(frames), "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    : ["-frames:v", "1", "-f", "image2"];
  const ffmpeg = createFfmpeg(await findFfmpeg(null), new AbortController().signal);
  await ffmpeg.run(["-f", "lavfi", "-i", source, ...output, path]);
  return path;
}

/** The picture of one frame, in RGB, and how to read a pixel of it. */
export async function readPixels(path: string, size: { readonly width: number; readonly height: number }, frame = 0) {
  const { stdout } = await execa(
    await findFfmpeg(null),
    ["-loglevel", "error", "-i", path, "-vf", `select=eq(n\\,${frame})`, "-vsync", "0", "-frames:v", "1"].concat([
      "-f",
      "rawvideo",
      "-pix_fmt",
      "rgb24",
      "pipe:1",
    ]),
    { encoding: "buffer", stripFinalNewline: false },
  );
  const bytes = Buffer.from(stdout);
  if (bytes.length !== size.width * size.height * 3) {
    throw new Error(`${path} has ${bytes.length} bytes of pixels instead of ${size.width * size.height * 3}`);
  }
  return {
    bytes,
    /** Red, green and blue from 0 to 255. */
    at: (x: number, y: number): [number, number, number] => {
      const offset = (y * size.width + x) * 3;
      return [bytes[offset]!, bytes[offset + 1]!, bytes[offset + 2]!];
    },
  };
}
