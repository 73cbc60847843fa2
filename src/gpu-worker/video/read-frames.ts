import { execa } from "execa";
import { fitFilter, type Fit } from "./fit.ts";
import type { FrameRange } from "./frames/arithmetic.ts";
import { type PixelFormat, type Size, frameBytes } from "./frames/format.ts";
import { failureText } from "./failure.ts";
import { type Ffmpeg, yieldProcessor } from "./ffmpeg.ts";

export interface ReadOptions {
  /** Frames of another size are brought to this one. */
  readonly size: Size;
  readonly format: PixelFormat;
  readonly fit?: Fit;
  /** The frames to read; all without it, and all from `start` on without an end. */
  readonly range?: Pick<FrameRange, "start"> & Partial<FrameRange>;
  /** ffmpeg filters that run before the size is changed. */
  readonly filters?: readonly string[];
}

/** Raw frames of a video or picture, one after the other. Only a few of them are in memory at any time. */
export interface FrameReader {
  /** Fills `into`, whose length is one frame, with the next frame. @returns false after the last one. */
  read(into: Uint8Array): Promise<boolean>;
  /** Ends ffmpeg, whether or not all was read. */
  close(): Promise<void>;
}

/**
 * Opens a video or picture. Each frame that the file has is given exactly once, whatever its timestamps say.
 * `read` throws an Error naming the file when it cannot be decoded, and the signal's reason.
 */
export function readFrames({ path, signal }: Ffmpeg, source: string, options: ReadOptions): FrameReader {
  signal.throwIfAborted();
  const ffmpeg = execa(path, readArgs(source, options), {
    stdin: "ignore",
    encoding: "buffer",
    buffer: { stdout: false, stderr: true },
    cancelSignal: signal,
    killSignal: "SIGKILL",
    reject: false,
  });
  yieldProcessor(ffmpeg.pid);
  const chunks = ffmpeg.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const bytes = frameBytes(options.format, options.size);
  // The first piece is asked for at once: a stream that nobody reads is emptied by execa, and its frames would be lost.
  let upcoming = chunks.next();
  upcoming.catch(() => undefined);
  let rest: Buffer = Buffer.alloc(0);

  async function atEnd(filled: number): Promise<false> {
    const { failed, stderr, shortMessage } = await ffmpeg;
    signal.throwIfAborted();
    if (failed || filled > 0) {
      throw new Error(`${source} cannot be read: ${failureText(path, Buffer.from(stderr).toString(), shortMessage)}`);
    }
    return false;
  }

  return {
    async read(into) {
      if (into.length !== bytes) {
        throw new RangeError(`a frame has ${bytes} bytes, the buffer ${into.length}`);
      }
      for (let filled = 0; filled < bytes;) {
        if (rest.length === 0) {
          const { done, value } = await upcoming;
          if (done === true) {
            return await atEnd(filled);
          }
          rest = value;
          upcoming = chunks.next();
          upcoming.catch(() => undefined);
        }
        const taken = rest.copy(into, filled, 0, bytes - filled);
        rest = rest.subarray(taken);
        filled += taken;
      }
      return true;
    },
    async close() {
      ffmpeg.kill("SIGKILL");
      ffmpeg.stdout.destroy();
      await ffmpeg;
    },
  };
}

/** The first frame of a video, or a picture. @throws Error naming the file when there is none. */
export async function readPicture(ffmpeg: Ffmpeg, source: string, options: ReadOptions): Promise<Buffer> {
  const reader = readFrames(ffmpeg, source, { ...options, range: { start: 0, end: 1 } });
  const frame = Buffer.allocUnsafe(frameBytes(options.format, options.size));
  try {
    if (!(await reader.read(frame))) {
      throw new Error(`${source} has no picture`);
    }
    return frame;
  } finally {
    await reader.close();
  }
}

/** The frames of a video, in two buffers by turns: each stays as it is until the one after the next is asked for. */
export async function* framesOf(ffmpeg: Ffmpeg, source: string, options: ReadOptions): AsyncGenerator<Buffer> {
  const reader = readFrames(ffmpeg, source, options);
  const bytes = frameBytes(options.format, options.size);
  let [next, other] = [Buffer.allocUnsafe(bytes), Buffer.allocUnsafe(bytes)];
  try {
    while (await reader.read(next)) {
      yield next;
      [next, other] = [other, next];
    }
  } finally {
    await reader.close();
  }
}

function trimFilter(range: ReadOptions["range"]): string[] {
  if (range === undefined || (range.start === 0 && range.end === undefined)) {
    return [];
  }
  return [`trim=start_frame=${range.start}${range.end === undefined ? "" : `:end_frame=${range.end}`}`];
}

function readArgs(source: string, { size, format, fit = "stretch", range, filters = [] }: ReadOptions): string[] {
  const chain = [
    ...trimFilter(range),
    ...filters,
    ...fitFilter(size, fit, format),
    // Frames get times of an even rate: an output at that rate then neither repeats nor drops any.
    "settb=1/25,setpts=N",
  ];
  return [
    ["-hide_banner", "-nostdin", "-loglevel", "error", "-threads", "1", "-i", source],
    ["-map", "0:v:0", "-vf", chain.join(","), "-r", "25", "-f", "rawvideo", "-pix_fmt", format, "pipe:1"],
  ].flat();
}
