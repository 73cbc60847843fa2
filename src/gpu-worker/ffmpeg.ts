import { createRequire } from "node:module";
import { execa } from "execa";

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
