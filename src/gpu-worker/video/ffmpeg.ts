import { createRequire } from "node:module";
import { constants, setPriority } from "node:os";
import { execa } from "execa";
import { cutToEnd } from "../../../supabase/functions/_shared/text.ts";

/** The ffmpeg program, for one task. */
export interface Ffmpeg {
  readonly path: string;
  /** Ends every run under way when it aborts. */
  readonly signal: AbortSignal;
  /**
   * Runs ffmpeg to its end, at a low priority. Existing files are replaced.
   * @returns the number of the last frame that it reported
   * @throws Error quoting ffmpeg; the signal's reason
   */
  run(args: readonly string[], onFrame?: (frame: number) => void): Promise<number>;
}

/**
 * Finds the ffmpeg to use: `ffmpegPath` if it is set, else the one on PATH, else the packaged one.
 * @throws Error that names what was tried and what to do, when none runs.
 */
export async function findFfmpeg(ffmpegPath: string | null): Promise<string> {
  if (ffmpegPath !== null) {
    const problem = await whyNot(ffmpegPath);
    if (problem === null) {
      return ffmpegPath;
    }
    throw new Error(`FFMPEG_PATH=${JSON.stringify(ffmpegPath)} does not run (${problem}): expected an ffmpeg program`);
  }
  const tried: string[] = [];
  for (const candidate of ["ffmpeg", packagedFfmpeg()]) {
    if (candidate === null) {
      continue;
    }
    const problem = await whyNot(candidate);
    if (problem === null) {
      return candidate;
    }
    tried.push(`${candidate} (${problem})`);
  }
  throw new Error(`no ffmpeg runs here; tried ${tried.join(", ")}. Install ffmpeg or set FFMPEG_PATH`);
}

async function whyNot(path: string): Promise<string | null> {
  const { failed, code, shortMessage } = await execa(path, ["-version"], {
    reject: false,
    stdin: "ignore",
    timeout: 20_000,
  });
  return failed ? (code ?? shortMessage ?? "it failed") : null;
}

function packagedFfmpeg(): string | null {
  try {
    return (createRequire(import.meta.url)("@ffmpeg-installer/ffmpeg") as { path: string }).path;
  } catch {
    // The package throws on platforms without a packaged program.
    return null;
  }
}

export function createFfmpeg(path: string, signal: AbortSignal): Ffmpeg {
  return { path, signal, run: (args, onFrame = () => undefined) => runFfmpeg(path, signal, args, onFrame) };
}

async function runFfmpeg(
  path: string,
  signal: AbortSignal,
  args: readonly string[],
  onFrame: (frame: number) => void,
): Promise<number> {
  const flags = ["-hide_banner", "-nostdin", "-y", "-loglevel", "error", "-progress", "pipe:1"];
  const ffmpeg = execa(path, [...flags, ...args], {
    stdin: "ignore",
    buffer: { stdout: false, stderr: true },
    cancelSignal: signal,
    killSignal: "SIGKILL",
    reject: false,
  });
  yieldProcessor(ffmpeg.pid);
  let frame = 0;
  for await (const line of ffmpeg) {
    const next = Number(/^frame=\s*(\d+)/.exec(line)?.[1] ?? 0);
    if (next > frame) {
      onFrame((frame = next));
    }
  }
  const { failed, stderr, shortMessage } = await ffmpeg;
  signal.throwIfAborted();
  if (failed) {
    throw new Error(`ffmpeg (${path}) failed: ${cutToEnd((stderr || (shortMessage ?? "")).trim(), 500)}`);
  }
  return frame;
}

/** Lowers a program's priority, so that heartbeats stay on time while it uses the whole processor. */
export function yieldProcessor(pid: number | undefined): void {
  if (pid === undefined) {
    return;
  }
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already; its exit status is checked later.
  }
}
