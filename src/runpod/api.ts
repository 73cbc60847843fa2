import type { Answer, EventStream, NoAnswer } from "./exchange.ts";
import type { Absent, Ambiguous, DeleteOutcome, Refused, Unknown } from "./outcomes.ts";
import { describeAnswer, isHtml, parseJson } from "./problem.ts";
import { retryAfterSec } from "./rate-limit.ts";
import type { Page, Read } from "./read.ts";
import { redact } from "./redact.ts";
import { lacksFunds, refusalReason } from "./refusal.ts";

const MAX_PAGES = 100;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What the calls of all subjects share. */
export interface Api {
  readonly apiKey: string;
  /** Sends one request at most once. `path` is below the API's base address and begins with a slash. */
  call(
    method: "GET" | "POST" | "PATCH" | "DELETE",
    path: string,
    signal: AbortSignal | undefined,
    payload?: unknown,
  ): Promise<Answer | NoAnswer>;
  /** Asks the provider's older API, which is not below the base address. */
  graphql(query: string, signal: AbortSignal | undefined): Promise<Answer | NoAnswer>;
  /** Opens a stream of server-sent events with these headers besides the usual ones. */
  stream(
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<EventStream | Answer | NoAnswer>;
}

/** Reads one thing by its id. `read` reads the body of a 200. */
export async function getOne<T>(
  api: Api,
  {
    what,
    path,
    read,
    signal,
  }: { what: string; path: string; read: (body: unknown, nowMs: number) => Read<T> } & CallOptions,
): Promise<{ readonly kind: "found"; readonly value: T } | Absent | Unknown> {
  const answer = await api.call("GET", path, signal);
  if (answer.kind === "answer" && answer.status === 404 && !isHtml(answer)) {
    return { kind: "absent" };
  }
  if (answer.kind === "no-answer" || answer.status !== 200) {
    return unknown(api, what, answer);
  }
  const value = read(parseJson(answer.text), Date.now());
  return value.ok ? { kind: "found", value: value.value } : unknown(api, what, answer, value.detail);
}

export interface ListRequest<T> extends CallOptions {
  readonly what: string;
  /** With its query. */
  readonly path: string;
  readonly read: (body: unknown, nowMs: number) => Read<Page<T>>;
}

/** Reads all pages of a list to the end that the last page proves, or is `unknown` as soon as one page is not readable. */
export async function listAll<T>(
  api: Api,
  { what, path, read, signal }: ListRequest<T>,
): Promise<{ readonly kind: "complete"; readonly items: readonly T[] } | Unknown> {
  const items: T[] = [];
  const followed = new Set<string>();
  let cursor: string | null = null;
  for (let page = 1; page <= MAX_PAGES; page++) {
    const here = `${what}, page ${page}`;
    const query: string =
      cursor === null ? "" : `${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(cursor)}`;
    const answer = await api.call("GET", `${path}${query}`, signal);
    if (answer.kind === "no-answer" || answer.status !== 200) {
      return unknown(api, here, answer);
    }
    const part = read(parseJson(answer.text), Date.now());
    if (!part.ok) {
      return unknown(api, here, answer, part.detail);
    }
    for (const item of part.value.items) {
      items.push(item);
    }
    cursor = part.value.nextCursor;
    if (cursor === null) {
      return { kind: "complete", items };
    }
    if (followed.has(cursor)) {
      return unknown(api, here, answer, "the cursor leads in a circle");
    }
    followed.add(cursor);
  }
  return { kind: "unknown", detail: `${what}: no end after ${MAX_PAGES} pages` };
}

/** A thing moves to the next page if another is created while a list is read. It counts once, as it was shown last. */
export function byId<T extends { readonly id: string }>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [item.id, item])).values()];
}

/** Sends one POST that makes something. `secrets` are removed from what the outcome says. */
export async function createOne<T>(
  api: Api,
  order: {
    readonly what: string;
    readonly path: string;
    readonly payload: unknown;
    readonly secrets: readonly string[];
    readonly read: (body: unknown, nowMs: number) => Read<T>;
  } & CallOptions,
): Promise<{ readonly kind: "created"; readonly value: T } | Refused | Ambiguous> {
  const { what } = order;
  const clean = (detail: string) => redact(`${what}: ${detail}`, [api.apiKey, ...order.secrets]);
  const answer = await api.call("POST", order.path, order.signal, order.payload);
  if (answer.kind === "no-answer") {
    return answer.sent
      ? { kind: "ambiguous", detail: clean(answer.detail) }
      : { kind: "refused", reason: "unreachable", status: null, detail: clean(answer.detail) };
  }
  if (answer.status === 200 || answer.status === 201) {
    const made = order.read(parseJson(answer.text), Date.now());
    return made.ok
      ? { kind: "created", value: made.value }
      : { kind: "ambiguous", detail: clean(explainUnread(answer, made.detail)) };
  }
  const said = describeAnswer(answer);
  const refused = refusal(answer, clean(said));
  return (
    refused ?? { kind: "ambiguous", detail: clean(said), ...(saysNoFunds(answer, said) ? { lacksFunds: true } : {}) }
  );
}

/** Sends one request that changes something, so that sending it again does no harm. */
export async function changeOne<T>(
  api: Api,
  order: {
    readonly method: "POST" | "PATCH";
    readonly what: string;
    readonly path: string;
    readonly payload: unknown;
    readonly read: (body: unknown, nowMs: number) => Read<T>;
  } & CallOptions,
): Promise<
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "conflict"; readonly detail: string }
  | Absent
  | Refused
  | Unknown
> {
  const { what } = order;
  const answer = await api.call(order.method, order.path, order.signal, order.payload);
  if (answer.kind === "no-answer") {
    return answer.sent ? unknown(api, what, answer) : notSent(api, what, answer);
  }
  if (answer.status === 200) {
    const now = order.read(parseJson(answer.text), Date.now());
    return now.ok ? { kind: "done", value: now.value } : unknown(api, what, answer, now.detail);
  }
  if (answer.status === 404 && !isHtml(answer)) {
    return { kind: "absent" };
  }
  const detail = redact(`${what}: ${describeAnswer(answer)}`, [api.apiKey]);
  if (answer.status === 409 && !isHtml(answer)) {
    return { kind: "conflict", detail };
  }
  return refusal(answer, detail) ?? unknown(api, what, answer);
}

/** Sends one DELETE. An answer that does not prove a refusal is `unknown`. */
export async function deleteOne(
  api: Api,
  { what, path, signal }: { what: string; path: string } & CallOptions,
): Promise<DeleteOutcome> {
  const answer = await api.call("DELETE", path, signal);
  if (answer.kind === "no-answer") {
    return unknown(api, what, answer);
  }
  if (answer.status === 404 && !isHtml(answer)) {
    return { kind: "absent" };
  }
  if (answer.status === 204 || (answer.status === 200 && !isHtml(answer))) {
    return { kind: "accepted" };
  }
  return refusal(answer, redact(`${what}: ${describeAnswer(answer)}`, [api.apiKey])) ?? unknown(api, what, answer);
}

/** The outcome of a request that cannot be sent, because it would address something else. */
export function noId(what: string): Unknown {
  return { kind: "unknown", detail: `${what}: no id given` };
}

/** @param why what is wrong with the body of a good answer. */
export function unknown({ apiKey }: Api, what: string, answer: Answer | NoAnswer, why?: string): Unknown {
  if (answer.kind === "no-answer") {
    return { kind: "unknown", reason: "unreachable", detail: redact(`${what}: ${answer.detail}`, [apiKey]) };
  }
  const said = describeAnswer(answer);
  const reason = why === undefined && !isHtml(answer) ? refusalReason(answer.status, said) : undefined;
  return {
    kind: "unknown",
    ...(reason === undefined ? {} : { reason }),
    detail: redact(`${what}: ${why === undefined ? said : explainUnread(answer, why)}`, [apiKey]),
    ...waitAfter(answer),
  };
}

function notSent({ apiKey }: Api, what: string, { detail }: NoAnswer): Refused {
  return { kind: "refused", reason: "unreachable", status: null, detail: redact(`${what}: ${detail}`, [apiKey]) };
}

/** Undefined: the answer does not prove that nothing was done. */
function refusal(answer: Answer, detail: string): Refused | undefined {
  const reason = isHtml(answer) ? undefined : refusalReason(answer.status, describeAnswer(answer));
  return reason && { kind: "refused", reason, status: answer.status, detail, ...waitAfter(answer) };
}

function saysNoFunds(answer: Answer, said: string): boolean {
  return !isHtml(answer) && lacksFunds(said);
}

function waitAfter({ headers }: Answer): { retryAfterSec?: number } {
  const waitSec = retryAfterSec(headers, Date.now());
  return waitSec === undefined ? {} : { retryAfterSec: waitSec };
}

function explainUnread(answer: Answer, why: string): string {
  const requestId = answer.headers["x-request-id"];
  return `HTTP ${answer.status} with ${why}${requestId ? ` (x-request-id ${requestId})` : ""}`;
}
