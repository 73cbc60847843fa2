import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import type { FileKind } from "../../task-types/kinds.ts";
import { cut, shortJson } from "../../../supabase/functions/_shared/text.ts";
import { sleep } from "../abort.ts";
import { backOffMs } from "../retry.ts";
import type { InputFile, Inputs } from "../tasks/handler.ts";
import { ParamsError } from "../tasks/params-error.ts";
import type { Ffmpeg } from "../video/ffmpeg.ts";
import { download, type DownloadOptions } from "./download.ts";
import { findLocalFile } from "./local-files.ts";
import { type Probed, probeInput } from "./probe-input.ts";
import { Refusal, Unavailable } from "../../net/refusal.ts";

/** What a worker fetches for its tasks. */
export interface InputsOptions {
  readonly maxBytes: number;
  /** For one file. */
  readonly timeoutMs: number;
  /** Folders whose files may be named by their path; none: only URLs are allowed. */
  readonly folders: readonly string[];
  /** Such as `https://project.supabase.co`; its address may be private. */
  readonly ownOrigin: string | null;
  /** For tests. */
  readonly network?: Pick<DownloadOptions, "isAllowed" | "resolve">;
  /** Before the second try; the third waits twice as long. */
  readonly firstDelayMs?: number;
}

/** The attempt that needs the files. */
export interface InputsScope {
  /** Fetched files lie in its folder `inputs`. */
  readonly workDir: string;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly ffmpeg: Ffmpeg;
  /** Called as a download goes on. */
  readonly onProgress?: (message: string) => void;
}

export type OpenInputs = (scope: InputsScope) => Inputs;

const TRIES = 3;
const SHOWN_CHARS = 200;
const NOTHING_MEASURED = { width: null, height: null, frames: null, fps: null, hasAudio: false };

export function createInputs(options: InputsOptions): OpenInputs {
  return (scope) => {
    const deps = { ...options, ...scope };
    const fetched = new Map<string, Promise<InputFile>>();
    return {
      fetch(field, urlOrPath, kind) {
        const key = `${kind} ${urlOrPath}`;
        const known = fetched.get(key);
        if (known !== undefined) {
          return known;
        }
        const file = fetchInput(deps, { field, value: urlOrPath, kind, index: fetched.size + 1 });
        fetched.set(key, file);
        return file;
      },
    };
  };
}

type Deps = InputsOptions & InputsScope;

interface Wanted {
  readonly field: string;
  readonly value: string;
  readonly kind: FileKind;
  readonly index: number;
}

async function fetchInput(deps: Deps, wanted: Wanted): Promise<InputFile> {
  const { field, value, kind } = wanted;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await fetchOnce(deps, wanted);
    } catch (error) {
      if (error instanceof Refusal) {
        throw new ParamsError(
          `params.${field}: expected ${allowed(kind, deps)}, got ${shown(value)}: ${error.message}`,
        );
      }
      if (!(error instanceof Unavailable)) {
        throw error;
      }
      if (attempt === TRIES) {
        throw new Error(`params.${field}: ${shown(value)} could not be had in ${TRIES} tries: ${error.message}`, {
          cause: error,
        });
      }
    }
    await sleep(backOffMs(attempt, deps.firstDelayMs), deps.signal);
    deps.signal.throwIfAborted();
  }
}

async function fetchOnce(deps: Deps, { field, value, kind, index }: Wanted): Promise<InputFile> {
  const { workDir, signal } = deps;
  const ffmpegPath = deps.ffmpeg.path;
  const isUrl = /^[a-z][a-z0-9+.-]+:/i.test(value) && !value.startsWith("file:");
  if (!isUrl) {
    const path = await findLocalFile(value, deps);
    return { path, kind, ...(kind === "file" ? NOTHING_MEASURED : await measure(path, kind, ffmpegPath, signal)) };
  }
  const folder = join(workDir, "inputs");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // Its name has no extension, which ffmpeg would believe.
  const path = join(folder, String(index));
  await download(readUrl(value), path, {
    ...deps,
    ...deps.network,
    onBytes: (bytes) => deps.onProgress?.(`fetching ${field}: ${(bytes / 1_000_000).toFixed(1)} MB`),
  });
  if (kind === "file") {
    return { path, kind, ...NOTHING_MEASURED };
  }
  const { extension, ...measured } = await probeInput(path, kind, ffmpegPath, signal);
  const named = `${path}.${extension}`;
  await rename(path, named);
  return { path: named, kind, ...measured };
}

async function measure(
  path: string,
  kind: "picture" | "video",
  ffmpegPath: string,
  signal: AbortSignal,
): Promise<Omit<Probed, "extension">> {
  const { extension: _extension, ...measured } = await probeInput(path, kind, ffmpegPath, signal);
  return measured;
}

function readUrl(value: string): URL {
  if (!URL.canParse(value)) {
    throw new Refusal("it is not a valid URL");
  }
  return new URL(value);
}

function allowed(kind: FileKind, { maxBytes, folders }: Deps): string {
  const where = folders.length === 0 ? "" : `, or in ${folders.join(" or ")}`;
  return `a ${kind} of at most ${maxBytes / 1_000_000} MB at a public http or https address${where}`;
}

/** Without what may be secret: the query of a signed URL, and a password. */
function shown(value: string): string {
  const bare = value.replace(/[?#].*$/s, "?…").replace(/\/\/[^@/]*@/, "//***@");
  return shortJson(cut(bare, SHOWN_CHARS), SHOWN_CHARS + 2);
}
