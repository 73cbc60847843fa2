import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { WebSocket } from "undici";
import type { z } from "zod";
import type { Schema } from "./generated-types.ts";

/** A call to the database that failed. `status` 0: no answer came. Never holds a key. */
export class DatabaseError extends Error {
  readonly operation: string;
  readonly status: number;
  readonly code: string;

  constructor(operation: string, status: number, code: string, message: string, hint: string | null) {
    const where = status === 0 ? "no answer" : `HTTP ${status}`;
    super(`database: ${operation} failed (${where}${code ? `, ${code}` : ""}): ${message}${hint ? `. ${hint}` : ""}`);
    this.name = "DatabaseError";
    this.operation = operation;
    this.status = status;
    this.code = code;
  }
}

export interface Database {
  readonly client: SupabaseClient<Schema>;
  /** Calls a database function and checks the shape of its answer. @throws DatabaseError */
  call<T>(name: string, args: Readonly<Record<string, unknown>>, answer: z.ZodType<T>): Promise<T>;
}

/** The database as the service role sees it, through PostgREST. */
export function connectDatabase(options: { url: string; serviceRoleKey: string }): Database {
  const client = createClient<Schema>(options.url, options.serviceRoleKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    // Node 20 has no WebSocket of its own, and the client refuses to be built without one.
    realtime: { transport: WebSocket as never },
  });
  return {
    client,
    async call(name, args, answer) {
      const result = await client.rpc(name as never, args as never);
      if (result.error) {
        const { code, message, hint } = result.error;
        throw new DatabaseError(name, result.status, code, message, hint);
      }
      const parsed = answer.safeParse(result.data ?? null);
      if (!parsed.success) {
        throw new DatabaseError(name, result.status, "", `unexpected answer: ${parsed.error.message}`, null);
      }
      return parsed.data;
    },
  };
}
