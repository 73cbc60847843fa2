import { Agent, type Dispatcher } from "undici";
import type { Api } from "./api.ts";
import { type CatalogCalls, createCatalogCalls } from "./catalog.ts";
import { exchange } from "./exchange.ts";
import { createPodCalls, type PodCalls } from "./pods.ts";
import { createVolumeCalls, type VolumeCalls } from "./volumes.ts";

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

/** Every method resolves to a typed outcome; none rejects, and none repeats a request. */
export type RunpodClient = PodCalls & CatalogCalls & VolumeCalls & { close(): Promise<void> };

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
    ...createPodCalls(api),
    ...createCatalogCalls(api),
    ...createVolumeCalls(api),
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
