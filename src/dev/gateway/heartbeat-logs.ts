import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { FastifyInstance } from "fastify";

const HEARTBEAT_WITH_LOGS = /^\/rest\/v1\/rpc\/func_worker_heartbeat_with_logs(?:\?|$)/;
/** The escapes of a JSON text, each whole: two halves of a character, NUL or a lone half, or any other. */
const ESCAPES = /\\u(d[89ab]..)\\ud[c-f]..|\\u(?:0000|d[89a-f]..)|\\./gi;

/**
 * One log line with a NUL or half a character would make the whole request unreadable for PostgREST or Postgres, and
 * the worker's heartbeat would be lost with it, so such a character is replaced by U+FFFD. Only here: everywhere else
 * the stack answers as hosted Supabase does.
 */
export function mendHeartbeatLogs(app: FastifyInstance): void {
  app.addHook("preParsing", async (request, _reply, payload) => {
    if (!HEARTBEAT_WITH_LOGS.test(request.url)) {
      return payload;
    }
    // Latin-1 keeps every byte, and the replacement is as long, so the request's length stays right.
    const json = (await buffer(payload)).toString("latin1");
    return Readable.from([Buffer.from(json.replace(ESCAPES, mended), "latin1")]);
  });
}

function mended(escape: string, firstHalf?: string): string {
  const isOdd = firstHalf === undefined && /^\\u(?:0000|d[89a-f])/i.test(escape);
  return isOdd ? "\\ufffd" : escape;
}
