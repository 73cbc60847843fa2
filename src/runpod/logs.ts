import { setTimeout as delay } from "node:timers/promises";
import { type Api, type CallOptions, noId, unknown } from "./api.ts";
import { type ServerEvent, readEvents } from "./event-stream.ts";
import type { EventStream } from "./exchange.ts";
import type { Absent, RefusalReason, Unknown } from "./outcomes.ts";
import { isHtml, parseJson } from "./problem.ts";
import { plainText, plausibleTime } from "./plausible.ts";
import { fieldsOf } from "./read.ts";
import { hideSecrets } from "./redact.ts";

const LONGEST_LINE_CHARS = 4_000;
const DEFAULT_MAX_LINES = 10_000;
const DEFAULT_TAIL = 100;
const LONGEST_PAUSE_MS = 30_000;
/** A provider that closes the stream sooner, without a line, has nothing to add. */
const SHORT_LIFE_MS = 5_000;
/** Lines that are compared with what a resumed stream repeats. */
const REMEMBERED_LINES = 5_000;
/** Reasons that do not pass by themselves. */
const FINAL: ReadonlySet<RefusalReason | undefined> = new Set(["unauthorized", "forbidden", "invalid", "funds"]);

/** `container`: what the program writes; `system`: what the host says of pulling, starting and ending. */
export type PodLogSource = "container" | "system";

export interface PodLogLine {
  /** Names the place in the log, to go on after it. */
  readonly id: string | null;
  /** Null: the provider does not say. */
  readonly source: PodLogSource | null;
  /** ISO 8601 in UTC; null: no plausible time. */
  readonly at: string | null;
  /** Storable, without known secrets, at most 4,000 characters. */
  readonly text: string;
}

/**
 * Why a stream of lines is over.
 *
 * - `ended`: the provider closes the stream and has no more lines: the container is not running.
 * - `capped`: `maxLines` lines came.
 * - `cancelled`: the caller's signal.
 * - `absent`: the provider's 404.
 * - `unknown`: the log cannot be read, or not any more.
 */
export type PodLogEnd = { readonly kind: "ended" | "capped" | "cancelled" } | Absent | Unknown;

export type PodLogEvent =
  | { readonly kind: "line"; readonly line: PodLogLine }
  /** The last event. `after`: where the next call can go on; null: no line had an id. */
  | { readonly kind: "end"; readonly end: PodLogEnd; readonly after: string | null };

export type ReadPodLogOutcome =
  | {
      readonly kind: "read";
      /** Oldest first. */
      readonly lines: readonly PodLogLine[];
      /** Whether this is all that was asked for; false: the connection broke before. */
      readonly complete: boolean;
    }
  | Absent
  | Unknown;

interface LogOptions extends CallOptions {
  /** Default: both. */
  readonly source?: PodLogSource;
  /** How many old lines come first: 0 to 5,000, default 100. */
  readonly tail?: number;
  /** Removed from every line, besides the API key and all keys of the provider's own form. */
  readonly secrets?: readonly string[];
}

export interface FollowPodLogOptions extends LogOptions {
  /** The first line's time, ISO 8601; in place of `tail`. */
  readonly since?: string;
  /** `after` or a line's `id` from an earlier call; in place of `tail` and `since`. */
  readonly after?: string;
  /** Default 10,000. */
  readonly maxLines?: number;
  /** How often in a row the stream may fail without a line before it is given up; default 5. */
  readonly retries?: number;
  /** Pause before the stream is resumed, doubled after each failure up to 30 s; default 1,000 ms. */
  readonly pauseMs?: number;
}

export interface ReadPodLogOptions extends LogOptions {
  /** The log of a running pod has no end: it counts as read when no line came for this time; default 1,000 ms. */
  readonly quietMs?: number;
}

export interface LogCalls {
  /**
   * Follows a pod's log. A broken stream is resumed after the last line, and no line comes twice. Breaking out of the
   * loop closes the connection. The iteration never throws: its last event says why it ended.
   */
  followPodLog(id: string, options?: FollowPodLogOptions): AsyncIterable<PodLogEvent>;
  /** The last lines of a pod's log, by one request. */
  readPodLog(id: string, options?: ReadPodLogOptions): Promise<ReadPodLogOutcome>;
}

export function createLogCalls(api: Api): LogCalls {
  return {
    followPodLog: (id, options = {}) => follow(api, id, options),
    readPodLog: (id, options = {}) => readOnce(api, id, options),
  };
}

async function readOnce(api: Api, id: string, options: ReadPodLogOptions): Promise<ReadPodLogOutcome> {
  const { quietMs = 1_000, tail = DEFAULT_TAIL, signal, ...rest } = options;
  const quiet = new AbortController();
  const both = signal ? AbortSignal.any([signal, quiet.signal]) : quiet.signal;
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => quiet.abort(), quietMs);
  };
  const lines: PodLogLine[] = [];
  let end: PodLogEnd = { kind: "ended" };
  const caps = { tail, maxLines: Math.max(1, tail), retries: 0 };
  for await (const event of follow(api, id, { ...rest, ...caps, signal: both }, wait)) {
    if (event.kind === "line") {
      lines.push(event.line);
      wait();
    } else {
      ({ end } = event);
    }
  }
  clearTimeout(timer);
  if (signal?.aborted) {
    return { kind: "unknown", detail: `reading the log of pod "${id}": cancelled` };
  }
  switch (end.kind) {
    case "absent":
      return end;
    case "unknown":
      return lines.length > 0 ? { kind: "read", lines, complete: false } : end;
    default:
      return { kind: "read", lines, complete: true };
  }
}

/** What is known between two connections. */
interface Progress {
  after: string | null;
  lines: number;
  /** Lines that a resumed stream may repeat. */
  readonly seen: Set<string>;
  failures: number;
}

async function* follow(
  api: Api,
  id: string,
  options: FollowPodLogOptions,
  onOpen: () => void = () => undefined,
): AsyncGenerator<PodLogEvent, void> {
  const { retries = 5, pauseMs = 1_000, signal } = options;
  const progress: Progress = { after: options.after ?? null, lines: 0, seen: new Set(), failures: 0 };
  for (;;) {
    const end = yield* readStream(api, id, options, progress, onOpen);
    if (signal?.aborted) {
      return yield { kind: "end", end: { kind: "cancelled" }, after: progress.after };
    }
    if (end.kind === "closed" && retries === 0) {
      return yield { kind: "end", end: { kind: "ended" }, after: progress.after };
    }
    if (end.kind !== "closed" && isFinal(end, progress, retries)) {
      return yield { kind: "end", end, after: progress.after };
    }
    const asked = end.kind === "unknown" ? (end.retryAfterSec ?? 0) * 1_000 : 0;
    const pause = Math.min(LONGEST_PAUSE_MS, pauseMs * 2 ** Math.max(0, progress.failures - 1));
    await delay(Math.max(asked, pause), undefined, { signal }).catch(() => undefined);
  }
}

function isFinal(end: PodLogEnd, { failures }: Progress, retries: number): boolean {
  return end.kind !== "unknown" || FINAL.has(end.reason) || retries === 0 || failures > retries;
}

/** One connection. `closed`: the provider closed it in good order, which it may also do while the container runs. */
async function* readStream(
  api: Api,
  id: string,
  options: FollowPodLogOptions,
  progress: Progress,
  onOpen: () => void,
): AsyncGenerator<PodLogEvent, PodLogEnd | { readonly kind: "closed" }> {
  const what = `reading the log of pod "${id}"`;
  if (id === "") {
    return { ...noId(what), reason: "invalid" };
  }
  const answer = await api.stream(pathOf(id, options, progress), lastEvent(progress), options.signal);
  if (answer.kind !== "stream") {
    progress.failures++;
    const absent = answer.kind === "answer" && answer.status === 404 && !isHtml(answer);
    return absent ? { kind: "absent" } : unknown(api, what, answer);
  }
  onOpen();
  const openedMs = Date.now();
  const before = progress.lines;
  const repeated = new Set(progress.seen);
  const broken = yield* readLines(api, answer, options, progress, repeated);
  if (broken === "capped") {
    return { kind: "capped" };
  }
  const idle = progress.lines === before && Date.now() - openedMs < SHORT_LIFE_MS;
  if (broken === null) {
    return idle ? { kind: "ended" } : { kind: "closed" };
  }
  progress.failures = idle ? progress.failures + 1 : 0;
  return unknown(api, what, { kind: "no-answer", sent: true, detail: `the stream broke: ${broken}` });
}

/** @returns null: the stream was closed in good order. */
async function* readLines(
  api: Api,
  stream: EventStream,
  { secrets = [], maxLines = DEFAULT_MAX_LINES }: FollowPodLogOptions,
  progress: Progress,
  repeated: ReadonlySet<string>,
): AsyncGenerator<PodLogEvent, string | null> {
  try {
    for await (const event of readEvents(stream.chunks)) {
      const key = `${event.id}\n${event.data}`;
      if (event.id !== null && repeated.has(key)) {
        continue;
      }
      remember(progress, event, key);
      yield { kind: "line", line: readLine(event, [api.apiKey, ...secrets]) };
      if (progress.lines >= maxLines) {
        return "capped";
      }
    }
    return null;
  } catch (error) {
    return stream.explain(error);
  } finally {
    stream.close();
  }
}

function remember(progress: Progress, { id }: ServerEvent, key: string): void {
  progress.lines++;
  progress.failures = 0;
  progress.after = id ?? progress.after;
  progress.seen.add(key);
  if (progress.seen.size > REMEMBERED_LINES) {
    progress.seen.delete(progress.seen.values().next().value ?? key);
  }
}

function readLine({ id, data }: ServerEvent, secrets: readonly string[]): PodLogLine {
  const { source, line, ts } = fieldsOf(parseJson(data));
  const text = typeof line === "string" ? line : data;
  return {
    id,
    source: source === "container" || source === "system" ? source : null,
    at: plausibleTime(ts, Date.now()),
    text: plainText(hideSecrets(text, secrets), LONGEST_LINE_CHARS),
  };
}

function lastEvent({ after }: Progress): Record<string, string> {
  return after === null ? {} : { "last-event-id": after };
}

function pathOf(id: string, { source, tail = DEFAULT_TAIL, since }: FollowPodLogOptions, progress: Progress): string {
  const query = new URLSearchParams();
  if (source) {
    query.set("source", source);
  }
  if (progress.lines > 0) {
    // The place is named by the last line's id. Without one the old lines must not come again.
    query.set("tail", "0");
  } else if (since !== undefined) {
    query.set("since", since);
  } else {
    query.set("tail", String(tail));
  }
  return `/pods/${encodeURIComponent(id)}/logs?${query.toString()}`;
}
