import { type SupabaseClient, createClient } from "@supabase/supabase-js";
import type { GpuWorkerSettings } from "../settings.ts";

const CALL_TIMEOUT_MS = 15_000;
const TRANSFER_TIMEOUT_MS = 600_000;

/** On Node 20 supabase-js requires a WebSocket class, although this worker never opens a channel. */
class NoRealtime {
  constructor() {
    throw new Error("the GPU worker does not use realtime channels");
  }
}

/**
 * A client with this worker's credential. Every request has a deadline, so a silent server counts as unreachable.
 * @param send replaces fetch; it must set a deadline itself.
 */
export function connect(
  settings: Pick<GpuWorkerSettings, "supabaseUrl" | "supabaseKey" | "workerToken">,
  send: typeof fetch = fetchWithDeadline,
): SupabaseClient {
  return createClient(settings.supabaseUrl, settings.supabaseKey, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport: NoRealtime as never },
    global: {
      headers: settings.workerToken === null ? {} : { "x-worker-token": settings.workerToken },
      fetch: send,
    },
  });
}

const fetchWithDeadline: typeof fetch = (input, init) => {
  const url = input instanceof Request ? input.url : String(input);
  const timeoutMs = url.includes("/storage/v1/") ? TRANSFER_TIMEOUT_MS : CALL_TIMEOUT_MS;
  return fetch(input, { ...init, signal: init?.signal ?? AbortSignal.timeout(timeoutMs) });
};
