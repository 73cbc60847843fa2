import { Agent, type Dispatcher } from "undici";
import { type AccountCalls, createAccountCalls } from "./account.ts";
import type { Api } from "./api.ts";
import { type BillingCalls, createBillingCalls } from "./billing.ts";
import { type CatalogCalls, createCatalogCalls } from "./catalog.ts";
import { exchange, openStream } from "./exchange.ts";
import { createLogCalls, type LogCalls } from "./logs.ts";
import { createPodCalls, type PodCalls } from "./pods.ts";
import { createRegistryCalls, type RegistryCalls } from "./registries.ts";
import { createVolumeCalls, type VolumeCalls } from "./volumes.ts";

/** A stream without a byte for so long may be dead. It is resumed, which costs one request. */
const STREAM_IDLE_MS = 60_000;

export interface RunpodClientOptions {
  /** Base address with its version, such as `https://api.runpod.io/v2`. */
  readonly apiUrl: string;
  readonly apiKey: string;
  /** Time allowed for one whole HTTP request; default 30,000 ms. */
  readonly timeoutMs?: number;
  /** Must not be empty: the provider refuses requests without one. */
  readonly userAgent: string;
  /** Called after each answer of success. */
  readonly onSuccess?: () => void;
  /** The caller closes it. Default: an agent of the client's own. */
  readonly dispatcher?: Dispatcher;
}

/** Every method resolves to a typed outcome; none rejects, and only `followPodLog` sends a second request by itself. */
export type RunpodClient = PodCalls &
  LogCalls &
  CatalogCalls &
  VolumeCalls &
  RegistryCalls &
  BillingCalls &
  AccountCalls & { close(): Promise<void> };

/** Builds a client of Runpod's REST v2. Throws when the address, key or User-Agent cannot work at all. */
export function createRunpodClient(options: RunpodClientOptions): RunpodClient {
  requireUsable(options);
  const { apiUrl, apiKey, userAgent, timeoutMs = 30_000 } = options;
  const base = apiUrl.replace(/\/+$/, "");
  const dispatcher = options.dispatcher ?? new Agent({ connect: { timeout: Math.min(10_000, timeoutMs) } });
  const headers = { authorization: `Bearer ${apiKey}`, "user-agent": userAgent, accept: "application/json" };
  const api: Api = {
    apiKey,
    async call(method, path, signal, payload) {
      const url = `${base}${path}`;
      const answer = await exchange({ dispatcher, method, url, headers, payload, timeoutMs, signal });
      if (answer.kind === "answer" && answer.status >= 200 && answer.status < 300) {
        options.onSuccess?.();
      }
      return answer;
    },
    graphql: (query, signal) =>
      exchange({ dispatcher, method: "POST", url: graphqlUrl(base), headers, payload: { query }, timeoutMs, signal }),
    stream: (path, more, signal) =>
      openStream({
        dispatcher,
        url: `${base}${path}`,
        headers: { ...headers, ...more },
        timeoutMs,
        idleMs: STREAM_IDLE_MS,
        signal,
      }),
  };
  return {
    ...createPodCalls(api),
    ...createLogCalls(api),
    ...createCatalogCalls(api),
    ...createVolumeCalls(api),
    ...createRegistryCalls(api),
    ...createBillingCalls(api),
    ...createAccountCalls(api),
    async close() {
      if (!options.dispatcher) {
        await dispatcher.destroy();
      }
    },
  };
}

/** Beside the version, as `https://api.runpod.io/graphql` is beside `https://api.runpod.io/v2`. */
function graphqlUrl(base: string): string {
  return `${base.replace(/\/v\d+$/, "")}/graphql`;
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
