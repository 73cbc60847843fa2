import { rm } from "node:fs/promises";
import { execa } from "execa";
import { type Care, encodeArgs, TO_BT709 } from "./encoding.ts";
import { type PixelFormat, type Size, frameBytes } from "./frames/format.ts";
import { failureText } from "./failure.ts";
import { type Ffmpeg, yieldProcessor } from "./ffmpeg.ts";

export interface WriteOptions {
  readonly size: Size;
  readonly format: PixelFormat;
  readonly fps: number;
  readonly care?: Care;
}

/** A video that is encoded while its frames are made. */
export interface VideoWriter {
  /** Resolves when the frame was handed on: from then on its buffer may be used again. */
  write(frame: Uint8Array): Promise<void>;
  /** Ends the file. @returns how many frames it has. */
  finish(): Promise<number>;
  /** Breaks off. The file may be left in part. */
  abort(): Promise<void>;
}

/**
 * Encodes raw frames to H.264 in MP4, with no frame added or lost.
 * `write` and `finish` throw an Error quoting ffmpeg when it fails, and the signal's reason.
 */
export function writeVideo({ path, signal }: Ffmpeg, target: string, options: WriteOptions): VideoWriter {
  signal.throwIfAborted();
  const { size, format } = options;
  const ffmpeg = execa(path, writeArgs(target, options), {
    stdin: "pipe",
    buffer: { stdout: false, stderr: true },
    cancelSignal: signal,
    killSignal: "SIGKILL",
    reject: false,
  });
  yieldProcessor(ffmpeg.pid);
  // A write after ffmpeg's end fails with EPIPE; how ffmpeg ended says why.
  ffmpeg.stdin.on("error", () => undefined);
  const bytes = frameBytes(format, size);
  let frames = 0;

  async function failure(): Promise<Error> {
    const { stderr, shortMessage } = await ffmpeg;
    signal.throwIfAborted();
    return new Error(`${target} cannot be written: ${failureText(path, stderr, shortMessage)}`);
  }

  return {
    async write(frame) {
      if (frame.length !== bytes) {
        throw new RangeError(`a frame has ${bytes} bytes, the buffer ${frame.length}`);
      }
      const failed = await new Promise<boolean>((resolve) => {
        ffmpeg.stdin.write(frame, (error) => resolve(error != null));
      });
      if (failed) {
        throw await failure();
      }
      frames += 1;
    },
    async finish() {
      ffmpeg.stdin.end();
      const { failed } = await ffmpeg;
      if (failed) {
        throw await failure();
      }
      return frames;
    },
    async abort() {
      ffmpeg.kill("SIGKILL");
      await ffmpeg;
    },
  };
}

/**
 * Encodes frames as they come. While one is handed to ffmpeg the next one is made, so a frame's buffer has to stay as it is until
 * the one after the next is asked for. Leaves no file behind when it fails.
 * @returns how many frames the file has.
 */
export async function encodeFrames(
  ffmpeg: Ffmpeg,
  target: string,
  options: WriteOptions,
  frames: AsyncIterable<Uint8Array>,
  onFrame: (frames: number) => void = () => undefined,
): Promise<number> {
  const writer = writeVideo(ffmpeg, target, options);
  let writing: Promise<void> = Promise.resolve();
  let count = 0;
  try {
    for await (const frame of frames) {
      await writing;
      writing = writer.write(frame);
      // It is awaited later, or not at all if the next frame cannot be made.
      writing.catch(() => undefined);
      onFrame((count += 1));
    }
    await writing;
    return await writer.finish();
  } catch (error) {
    await writer.abort();
    await rm(target, { force: true });
    throw error;
  }
}

function writeArgs(target: string, { size, format, fps, care }: WriteOptions): string[] {
  return [
    ["-hide_banner", "-nostdin", "-y", "-loglevel", "error"],
    ["-f", "rawvideo", "-pix_fmt", format, "-s", `${size.width}x${size.height}`, "-r", String(fps), "-i", "pipe:0"],
    format === "rgb24" ? ["-vf", TO_BT709] : [],
    [...encodeArgs(fps, care), target],
  ].flat();
}
