import { type SupabaseClient, createClient } from "@supabase/supabase-js";
import type { WorkerSettings } from "./settings.ts";

const CALL_TIMEOUT_MS = 15_000;
const TRANSFER_TIMEOUT_MS = 600_000;

/** supabase-js demands a socket class at construction on Node 20, though this worker never opens a channel. */
class NoRealtime {
  constructor() {
    throw new Error("The GPU worker does not use realtime channels.");
  }
}

/**
 * A client that speaks for this worker. Every request has a deadline, so a silent peer counts as unreachable.
 * @param send in place of fetch; it keeps a deadline of its own.
 */
export function connect(
  settings: Pick<WorkerSettings, "supabaseUrl" | "supabaseKey" | "workerToken">,
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
