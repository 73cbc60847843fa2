import { Agent, type Dispatcher } from "undici";
import { type Answer, exchange, type NoAnswer } from "./exchange.ts";
import type { CreatePodOutcome, DeletePodOutcome, GetPodOutcome, ListPodsOutcome, Unknown } from "./outcomes.ts";
import { describeAnswer, isHtml, parseJson } from "./problem.ts";
import { retryAfterSec } from "./rate-limit.ts";
import { readPod, readPodPage } from "./read-pod.ts";
import { redact } from "./redact.ts";
import { refusalReason } from "./refusal.ts";
import type { CreatePodRequest, Pod } from "./types.ts";

const PAGE_SIZE = 1000;
const MAX_PAGES = 100;

export interface RunpodClientOptions {
  /** Base address with its version, such as `https://api.runpod.io/v2`. */
  readonly apiUrl: string;
  readonly apiKey: string;
  /** Whole time allowed for one HTTP request. */
  readonly timeoutMs?: number;
  /** Never empty: the provider's edge refuses requests without one. */
  readonly userAgent: string;
  /** Left to the caller to close; without it the client has an agent of its own. */
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

/** Anything in a pod's environment may be secret; its name, which the environment repeats, is not. */
function secretsOf(request: CreatePodRequest): string[] {
  return Object.values(request.env).filter((value) => value !== request.name);
}

/** Builds a client of Runpod's REST v2. Throws when the address, key or User-Agent cannot work at all. */
export function createRunpodClient(options: RunpodClientOptions): RunpodClient {
  const { apiUrl, apiKey, userAgent, timeoutMs = 30_000 } = options;
  if (!URL.canParse(apiUrl)) {
    throw new Error(`Runpod API address "${apiUrl}" is no URL: give it with scheme and version`);
  }
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new Error("Runpod API key is empty or holds blanks: copy it again");
  }
  if (userAgent.trim() === "") {
    throw new Error("Runpod refuses requests without a User-Agent: give one");
  }
  const base = apiUrl.replace(/\/+$/, "");
  const dispatcher = options.dispatcher ?? new Agent({ connect: { timeout: Math.min(10_000, timeoutMs) } });

  const call = (method: "GET" | "POST" | "DELETE", path: string, signal?: AbortSignal, payload?: unknown) =>
    exchange({
      dispatcher,
      method,
      url: `${base}${path}`,
      headers: { authorization: `Bearer ${apiKey}`, "user-agent": userAgent, accept: "application/json" },
      payload,
      timeoutMs,
      signal,
    });

  const unknown = (what: string, answer: Answer | NoAnswer, why?: string): Unknown => {
    const detail =
      answer.kind === "no-answer" ? answer.detail : why ? explainUnread(answer, why) : describeAnswer(answer);
    const waitSec = answer.kind === "answer" ? retryAfterSec(answer.headers, Date.now()) : undefined;
    return {
      kind: "unknown",
      detail: redact(`${what}: ${detail}`, [apiKey]),
      ...(waitSec === undefined ? {} : { retryAfterSec: waitSec }),
    };
  };

  return {
    async createPod(request, { signal } = {}) {
      const answer = await call("POST", "/pods", signal, request);
      const outcome = createOutcome(request.name, answer);
      if (outcome.kind === "created") {
        return outcome;
      }
      return { ...outcome, detail: redact(outcome.detail, [apiKey, ...secretsOf(request)]) };
    },

    async getPod(id, { signal } = {}) {
      const what = `reading pod "${id}"`;
      if (id === "") {
        return { kind: "unknown", detail: `${what}: no pod id given` };
      }
      const answer = await call("GET", `/pods/${encodeURIComponent(id)}`, signal);
      if (answer.kind === "no-answer") {
        return unknown(what, answer);
      }
      if (answer.status === 404 && !isHtml(answer)) {
        return { kind: "absent" };
      }
      if (answer.status !== 200) {
        return unknown(what, answer);
      }
      const pod = readPod(parseJson(answer.text));
      if (!pod.ok) {
        return unknown(what, answer, pod.detail);
      }
      return pod.value.id === id ? { kind: "found", pod: pod.value } : unknown(what, answer, "another pod's data");
    },

    async listPods({ signal } = {}) {
      const pods = new Map<string, Pod>();
      const followed = new Set<string>();
      let cursor: string | null = null;
      for (let page = 1; page <= MAX_PAGES; page++) {
        const what = `listing pods, page ${page}`;
        const query: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
        const answer = await call("GET", `/pods?limit=${PAGE_SIZE}${query}`, signal);
        if (answer.kind === "no-answer" || answer.status !== 200) {
          return unknown(what, answer);
        }
        const read = readPodPage(parseJson(answer.text), PAGE_SIZE);
        if (!read.ok) {
          return unknown(what, answer, read.detail);
        }
        for (const pod of read.value.pods) {
          pods.set(pod.id, pod);
        }
        cursor = read.value.nextCursor;
        if (cursor === null) {
          return { kind: "complete", pods: [...pods.values()] };
        }
        if (followed.has(cursor)) {
          return unknown(what, answer, "the cursor leads in a circle");
        }
        followed.add(cursor);
      }
      return { kind: "unknown", detail: `listing pods: no end after ${MAX_PAGES} pages` };
    },

    async deletePod(id, { signal } = {}) {
      const what = `deleting pod "${id}"`;
      if (id === "") {
        return { kind: "unknown", detail: `${what}: no pod id given` };
      }
      const answer = await call("DELETE", `/pods/${encodeURIComponent(id)}`, signal);
      if (answer.kind === "no-answer") {
        return unknown(what, answer);
      }
      if (answer.status === 404 && !isHtml(answer)) {
        return { kind: "absent" };
      }
      const accepted = answer.status === 204 || (answer.status === 200 && !isHtml(answer));
      return accepted ? { kind: "accepted" } : unknown(what, answer);
    },

    async close() {
      if (!options.dispatcher) {
        await dispatcher.close();
      }
    },
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
    const pod = readPod(parseJson(answer.text));
    if (pod.ok) {
      return { kind: "created", pod: pod.value };
    }
    return { kind: "ambiguous", detail: `${what}: ${explainUnread(answer, pod.detail)}` };
  }
  const said = describeAnswer(answer);
  const detail = `${what}: ${said}`;
  const reason = isHtml(answer) ? undefined : refusalReason(answer.status, said);
  if (reason === undefined) {
    return { kind: "ambiguous", detail };
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
