import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type { z } from "zod";
import type { Schema } from "./generated-types.ts";
import { answerOf, sendable, shaped } from "./requests.ts";
import { TABLES } from "./tables.ts";

/**
 * No request to the database takes longer: after it there is no answer (DatabaseError, status 0). The database itself
 * ends a statement after 8 s.
 */
const DEADLINE_MS = 10_000;

export interface Database {
  /** For the stores of this room alone. */
  readonly [TABLES]: SupabaseClient<Schema>;
  /**
   * Calls a database function once and checks the shape of its answer. Texts are made storable.
   * @throws DatabaseError, also after 10 s; PT400 for arguments that are nested too deeply or too long
   */
  call<T>(name: string, args: Readonly<Record<string, unknown>>, answer: z.ZodType<T>): Promise<T>;
}

export interface DatabaseOptions {
  readonly url: string;
  readonly serviceRoleKey: string;
  /** Called after each answer of success. */
  readonly onSuccess?: () => void;
}

/** The database as the service role sees it, through PostgREST. */
export function connectDatabase(options: DatabaseOptions): Database {
  const client = createClient<Schema>(options.url, options.serviceRoleKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    realtime: { transport: NoWebSocket as never },
    global: {
      async fetch(input, init) {
        const answer = await fetch(input, { ...init, signal: AbortSignal.timeout(DEADLINE_MS) });
        if (answer.ok) {
          options.onSuccess?.();
        }
        return answer;
      },
    },
  });
  return {
    [TABLES]: client,
    async call(name, args, answer) {
      const request = client.rpc(name as never, sendable(name, args) as never);
      return shaped(name, answer, await answerOf<unknown>(name, request));
    },
  };
}

/** On Node 20 supabase-js requires a WebSocket class, although no channel is ever opened. Undici's loads slowly. */
class NoWebSocket {
  constructor() {
    throw new Error("the database client opens no channels");
  }
}
