import { createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Dispatcher } from "undici";
import { allowedAddresses, answering, isPublicAddress, type Resolve, resolveHost } from "../../net/addresses.ts";
import { Refusal, Unavailable } from "../../net/refusal.ts";

export interface DownloadOptions {
  readonly maxBytes: number;
  /** For the whole download, redirects included. */
  readonly timeoutMs: number;
  /** The origin of `SUPABASE_URL`, whose address may be private; null: there is none. */
  readonly ownOrigin: string | null;
  readonly signal: AbortSignal;
  /** Called as bytes arrive. */
  readonly onBytes?: (bytes: number) => void;
  readonly isAllowed?: (address: string) => boolean;
  readonly resolve?: Resolve;
}

const MAX_REDIRECTS = 5;
const CONNECT_TIMEOUT_MS = 10_000;
const NOT_NOW = new Set([408, 425, 429]);

/**
 * Writes what a URL answers to a file.
 * @throws Refusal: the address is not public, the server declines, or the file is too large. Unavailable: no answer, an
 * answer that says "not now", or the time limit. The signal's reason. The file is gone then.
 */
export async function download(url: URL, path: string, options: DownloadOptions): Promise<void> {
  const { signal, timeoutMs } = options;
  const ended = new AbortController();
  const onAbort = () => ended.abort();
  const timer = setTimeout(onAbort, timeoutMs);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    await follow(url, path, options, ended.signal);
  } catch (error) {
    await rm(path, { force: true });
    signal.throwIfAborted();
    if (ended.signal.aborted) {
      throw new Unavailable(`it did not come within ${timeoutMs / 1_000} s`);
    }
    throw error instanceof Refusal || error instanceof Unavailable ? error : new Unavailable(reasonOf(error));
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

async function follow(first: URL, path: string, options: DownloadOptions, signal: AbortSignal): Promise<void> {
  let url = first;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const next = await fetchOnce(url, path, options, signal);
    if (next === null) {
      return;
    }
    url = next;
  }
  throw new Refusal(`it redirects more than ${MAX_REDIRECTS} times`);
}

/** Answers where it redirects to; null: the file is written. */
async function fetchOnce(url: URL, path: string, options: DownloadOptions, signal: AbortSignal): Promise<URL | null> {
  requireWebAddress(url);
  const isOwn = options.ownOrigin !== null && url.origin === options.ownOrigin;
  const isAllowed = isOwn ? () => true : (options.isAllowed ?? isPublicAddress);
  const addresses = await allowedAddresses(url, isAllowed, options.resolve ?? resolveHost);
  signal.throwIfAborted();
  // Loaded with the first file: most tasks of most workers name none, and it takes a tenth of the time of their start.
  const { Agent, request } = await import("undici");
  const dispatcher = new Agent({ connect: { lookup: answering(addresses), timeout: CONNECT_TIMEOUT_MS } });
  try {
    const headers = { accept: "*/*", "accept-encoding": "identity", "user-agent": "gpu-pool" };
    const answer = await request(url, { dispatcher, signal, headers, headersTimeout: options.timeoutMs });
    // A body that nobody reads fails when its connection is closed.
    answer.body.on("error", () => undefined);
    return readLocation(url, answer) ?? (await store(answer, path, options, signal));
  } finally {
    await dispatcher.destroy();
  }
}

function requireWebAddress({ protocol, username, password }: URL): void {
  if (protocol !== "http:" && protocol !== "https:") {
    throw new Refusal(`${protocol} is not http: or https:`);
  }
  if (username !== "" || password !== "") {
    throw new Refusal("its address contains a user name or a password");
  }
}

function readLocation(url: URL, { statusCode, headers }: Dispatcher.ResponseData): URL | null {
  if (statusCode < 300 || statusCode > 399) {
    return null;
  }
  const { location } = headers;
  if (typeof location !== "string" || !URL.canParse(location, url.href)) {
    throw new Refusal(`the server answered ${statusCode} without an address`);
  }
  return new URL(location, url);
}

async function store(
  { statusCode, headers, body }: Dispatcher.ResponseData,
  path: string,
  { maxBytes, onBytes }: DownloadOptions,
  signal: AbortSignal,
): Promise<null> {
  if (statusCode >= 500 || NOT_NOW.has(statusCode)) {
    throw new Unavailable(`the server answered ${statusCode}`);
  }
  if (statusCode < 200 || statusCode > 299) {
    throw new Refusal(`the server answered ${statusCode}`);
  }
  if (Number(headers["content-length"] ?? 0) > maxBytes) {
    throw tooLarge(maxBytes);
  }
  let bytes = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      onBytes?.(bytes);
      done(bytes > maxBytes ? tooLarge(maxBytes) : null, chunk);
    },
  });
  await pipeline(body, counter, createWriteStream(path, { mode: 0o600 }), { signal });
  return null;
}

export function tooLarge(maxBytes: number): Refusal {
  return new Refusal(`it is larger than ${maxBytes / 1_000_000} MB`);
}

function reasonOf(error: unknown): string {
  const { code, message, cause } = error as NodeJS.ErrnoException;
  const inner = cause instanceof Error ? cause.message : "";
  return [message || inner, code].filter(Boolean).join(", ");
}
