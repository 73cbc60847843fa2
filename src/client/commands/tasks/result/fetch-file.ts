import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { ClientError, EXIT } from "../../../errors.ts";

/** A server that sends nothing for so long is given up. */
const STALLED_MS = 60_000;

export type OnBytes = (written: number, total: number | null) => void;

/**
 * Writes what a URL answers, or a file of this machine, to a new file.
 * @param ownOrigins origins that need no https, such as that of `SUPABASE_URL`
 * @throws ClientError when it cannot be had; the new file is then incomplete
 */
export async function fetchFile(
  source: string,
  target: string,
  ownOrigins: readonly string[],
  onBytes: OnBytes,
): Promise<void> {
  const isFile = !URL.canParse(source);
  const { body, total } = isFile ? await fromDisk(source) : await fromServer(new URL(source), ownOrigins);
  const file = await open(target, "wx");
  let written = 0;
  try {
    for await (const chunk of body) {
      await file.write(chunk);
      written += chunk.length;
      onBytes(written, total);
    }
  } catch (error) {
    throw unreachable(source, error instanceof Error ? error.message : String(error), error);
  } finally {
    await file.close();
  }
  if (total !== null && written !== total) {
    throw unreachable(source, `it broke off after ${written} of ${total} bytes`);
  }
}

interface Source {
  readonly body: AsyncIterable<Uint8Array>;
  /** In bytes; null: the server does not say. */
  readonly total: number | null;
}

async function fromDisk(path: string): Promise<Source> {
  const { size } = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new ClientError(EXIT.notFound, `${path} cannot be read (${error.code})`, null, { cause: error });
  });
  return { body: createReadStream(path), total: size };
}

async function fromServer(url: URL, ownOrigins: readonly string[]): Promise<Source> {
  requireSafe(url, ownOrigins);
  const stalled = new AbortController();
  const watch = setTimeout(() => stalled.abort(new Error(`nothing came for ${STALLED_MS / 1000} s`)), STALLED_MS);
  const answer = await fetch(url, { signal: stalled.signal, headers: { "accept-encoding": "identity" } }).catch(
    (error: unknown) => {
      clearTimeout(watch);
      const cause = (error as Error).cause ?? error;
      throw unreachable(url.href, cause instanceof Error ? cause.message : String(cause), error);
    },
  );
  if (!answer.ok || answer.body === null) {
    clearTimeout(watch);
    await answer.body?.cancel();
    const exitCode = answer.status === 404 ? EXIT.notFound : answer.status >= 500 ? EXIT.unreachable : EXIT.failed;
    throw new ClientError(exitCode, `${url.href} was answered ${answer.status}`, "Was the file deleted from storage?");
  }
  requireSafe(new URL(answer.url), ownOrigins);
  const length = Number(answer.headers.get("content-length") ?? Number.NaN);
  return { body: refreshing(answer.body, watch), total: Number.isSafeInteger(length) ? length : null };
}

async function* refreshing(body: AsyncIterable<Uint8Array>, watch: NodeJS.Timeout): AsyncIterable<Uint8Array> {
  try {
    for await (const chunk of body) {
      watch.refresh();
      yield chunk;
    }
  } finally {
    clearTimeout(watch);
  }
}

/** A worker may write anything as the place of its result. */
function requireSafe(url: URL, ownOrigins: readonly string[]): void {
  if (url.protocol !== "https:" && !ownOrigins.includes(url.origin)) {
    const advice = "Only https addresses and those of SUPABASE_URL are fetched.";
    throw new ClientError(EXIT.failed, `${url.href} is no address of the project's storage`, advice);
  }
}

function unreachable(source: string, reason: string, cause?: unknown): ClientError {
  return new ClientError(EXIT.unreachable, `${source} could not be read: ${reason}`, "Try again.", { cause });
}
