import { Agent, type Dispatcher } from "undici";
import { type Answer, exchange, type NoAnswer } from "./exchange.ts";
import type { CreatePodOutcome, DeletePodOutcome, GetPodOutcome, ListPodsOutcome, Unknown } from "./outcomes.ts";
import { describeAnswer, isHtml, parseJson } from "./problem.ts";
import { retryAfterSec } from "./rate-limit.ts";
import { readPod, readPodPage, UNKNOWN_STATUS } from "./read-pod.ts";
import { redact } from "./redact.ts";
import { lacksFunds, refusalReason } from "./refusal.ts";
import type { CreatePodRequest, Pod } from "./types.ts";

const PAGE_SIZE = 1000;
const MAX_PAGES = 100;

export interface RunpodClientOptions {
  /** Base address with its version, such as `https://api.runpod.io/v2`. */
  readonly apiUrl: string;
  readonly apiKey: string;
  /** Time allowed for one whole HTTP request; default 30,000 ms. */
  readonly timeoutMs?: number;
  /** Must not be empty: the provider refuses requests without one. */
  readonly userAgent: string;
  /** The caller closes it. Default: an agent of the client's own. */
  readonly dispatcher?: Dispatcher;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Every method resolves to a typed outcome; none rejects, and none repeats a request. */
export interface RunpodClient {
  /** Posts once. See `CreatePodOutcome` for what each answer proves. */
  createPod(request: CreatePodRequest, options?: CallOptions): Promise<CreatePodOutcome>;
  getPod(id: string, options?: CallOptions): Promise<GetPodOutcome>;
  /** All pods of the account, newest first, or `unknown` as soon as one page is missing or unreadable. */
  listPods(options?: CallOptions): Promise<ListPodsOutcome>;
  deletePod(id: string, options?: CallOptions): Promise<DeletePodOutcome>;
  close(): Promise<void>;
}

/** Every value of a pod's environment may be secret, except the pod's name, which the environment repeats. */
function secretsOf(request: CreatePodRequest): string[] {
  return Object.values(request.env).filter((value) => value !== request.name);
}

/** Builds a client of Runpod's REST v2. Throws when the address, key or User-Agent cannot work at all. */
export function createRunpodClient(options: RunpodClientOptions): RunpodClient {
  requireUsable(options);
  const { apiUrl, apiKey, userAgent, timeoutMs = 30_000 } = options;
  const base = apiUrl.replace(/\/+$/, "");
  const dispatcher = options.dispatcher ?? new Agent({ connect: { timeout: Math.min(10_000, timeoutMs) } });
  const headers = { authorization: `Bearer ${apiKey}`, "user-agent": userAgent, accept: "application/json" };
  const api: Api = {
    apiKey,
    call: (method, path, signal, payload) =>
      exchange({ dispatcher, method, url: `${base}${path}`, headers, payload, timeoutMs, signal }),
  };
  return {
    createPod: (request, { signal } = {}) => createPod(api, request, signal),
    getPod: (id, { signal } = {}) => getPod(api, id, signal),
    listPods: ({ signal } = {}) => listPods(api, signal),
    deletePod: (id, { signal } = {}) => deletePod(api, id, signal),
    async close() {
      if (!options.dispatcher) {
        await dispatcher.close();
      }
    },
  };
}

function requireUsable({ apiUrl, apiKey, userAgent }: RunpodClientOptions): void {
  if (!URL.canParse(apiUrl)) {
    throw new Error(`Runpod API address "${apiUrl}" is no URL: give it with scheme and version`);
  }
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new Error("Runpod API key is empty or holds blanks: copy it again");
  }
  if (userAgent.trim() === "") {
    throw new Error("Runpod refuses requests without a User-Agent: give one");
  }
}

interface Api {
  readonly apiKey: string;
  readonly call: (
    method: "GET" | "POST" | "DELETE",
    path: string,
    signal: AbortSignal | undefined,
    payload?: unknown,
  ) => Promise<Answer | NoAnswer>;
}

async function createPod(
  { apiKey, call }: Api,
  request: CreatePodRequest,
  signal: AbortSignal | undefined,
): Promise<CreatePodOutcome> {
  const outcome = createOutcome(request.name, await call("POST", "/pods", signal, request));
  return outcome.kind === "created"
    ? outcome
    : { ...outcome, detail: redact(outcome.detail, [apiKey, ...secretsOf(request)]) };
}

async function getPod(api: Api, id: string, signal: AbortSignal | undefined): Promise<GetPodOutcome> {
  const what = `reading pod "${id}"`;
  if (id === "") {
    return { kind: "unknown", detail: `${what}: no pod id given` };
  }
  const answer = await api.call("GET", `/pods/${encodeURIComponent(id)}`, signal);
  if (answer.kind === "no-answer") {
    return unknown(api, what, answer);
  }
  if (answer.status === 404 && !isHtml(answer)) {
    return { kind: "absent" };
  }
  if (answer.status !== 200) {
    return unknown(api, what, answer);
  }
  const pod = readPod(parseJson(answer.text), Date.now());
  if (!pod.ok) {
    return unknown(api, what, answer, pod.detail);
  }
  if (pod.value.status === UNKNOWN_STATUS) {
    return unknown(api, what, answer, "no status");
  }
  return pod.value.id === id ? { kind: "found", pod: pod.value } : unknown(api, what, answer, "another pod's data");
}

async function listPods(api: Api, signal: AbortSignal | undefined): Promise<ListPodsOutcome> {
  const pods = new Map<string, Pod>();
  const followed = new Set<string>();
  let cursor: string | null = null;
  for (let page = 1; page <= MAX_PAGES; page++) {
    const what = `listing pods, page ${page}`;
    const query: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const answer = await api.call("GET", `/pods?limit=${PAGE_SIZE}${query}`, signal);
    if (answer.kind === "no-answer" || answer.status !== 200) {
      return unknown(api, what, answer);
    }
    const read = readPodPage(parseJson(answer.text), Date.now());
    if (!read.ok) {
      return unknown(api, what, answer, read.detail);
    }
    for (const pod of read.value.pods) {
      pods.set(pod.id, pod);
    }
    cursor = read.value.nextCursor;
    if (cursor === null) {
      return { kind: "complete", pods: [...pods.values()] };
    }
    if (followed.has(cursor)) {
      return unknown(api, what, answer, "the cursor leads in a circle");
    }
    followed.add(cursor);
  }
  return { kind: "unknown", detail: `listing pods: no end after ${MAX_PAGES} pages` };
}

async function deletePod(api: Api, id: string, signal: AbortSignal | undefined): Promise<DeletePodOutcome> {
  const what = `deleting pod "${id}"`;
  if (id === "") {
    return { kind: "unknown", detail: `${what}: no pod id given` };
  }
  const answer = await api.call("DELETE", `/pods/${encodeURIComponent(id)}`, signal);
  if (answer.kind === "no-answer") {
    return unknown(api, what, answer);
  }
  if (answer.status === 404 && !isHtml(answer)) {
    return { kind: "absent" };
  }
  const accepted = answer.status === 204 || (answer.status === 200 && !isHtml(answer));
  return accepted ? { kind: "accepted" } : unknown(api, what, answer);
}

function unknown({ apiKey }: Api, what: string, answer: Answer | NoAnswer, why?: string): Unknown {
  const detail =
    answer.kind === "no-answer" ? answer.detail : why ? explainUnread(answer, why) : describeAnswer(answer);
  const waitSec = answer.kind === "answer" ? retryAfterSec(answer.headers, Date.now()) : undefined;
  return {
    kind: "unknown",
    detail: redact(`${what}: ${detail}`, [apiKey]),
    ...(waitSec === undefined ? {} : { retryAfterSec: waitSec }),
  };
}

function createOutcome(name: string, answer: Answer | NoAnswer): CreatePodOutcome {
  const what = `creating pod "${name}"`;
  if (answer.kind === "no-answer") {
    const detail = `${what}: ${answer.detail}`;
    return answer.sent
      ? { kind: "ambiguous", detail }
      : { kind: "refused", reason: "unreachable", status: null, detail };
  }
  if (answer.status === 200 || answer.status === 201) {
    const pod = readPod(parseJson(answer.text), Date.now());
    if (pod.ok) {
      return { kind: "created", pod: pod.value };
    }
    return { kind: "ambiguous", detail: `${what}: ${explainUnread(answer, pod.detail)}` };
  }
  const said = describeAnswer(answer);
  const detail = `${what}: ${said}`;
  const reason = isHtml(answer) ? undefined : refusalReason(answer.status, said);
  if (reason === undefined) {
    return { kind: "ambiguous", detail, ...(!isHtml(answer) && lacksFunds(said) ? { lacksFunds: true } : {}) };
  }
  const waitSec = retryAfterSec(answer.headers, Date.now());
  return {
    kind: "refused",
    reason,
    status: answer.status,
    detail,
    ...(waitSec === undefined ? {} : { retryAfterSec: waitSec }),
  };
}

function explainUnread(answer: Answer, why: string): string {
  const requestId = answer.headers["x-request-id"];
  return `HTTP ${answer.status} with ${why}${requestId ? ` (x-request-id ${requestId})` : ""}`;
}
