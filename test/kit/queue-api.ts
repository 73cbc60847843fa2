import { chmod, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { pino } from "pino";
import { WebSocket } from "undici";
import { startOnFreePort } from "../../src/dev/servers/free-port.ts";
import { startGateway } from "../../src/dev/gateway/gateway.ts";
import { type Keys, makeKeys } from "../../src/dev/gateway/auth.ts";
import { startGuardian } from "../../src/process/guardian.ts";
import { startPostgrest } from "../../src/dev/servers/postgrest.ts";
import { openQueue, type Queue, sha256 } from "./queue.ts";

export interface QueueApi {
  readonly queue: Queue;
  readonly keys: Keys;
  readonly url: string;
  /** A supabase-js client as users have it. */
  client(key: string, headers?: Readonly<Record<string, string>>): SupabaseClient;
  /** A client with the headers of a GPU worker: the public key and its own token. */
  asWorker(token: string): SupabaseClient;
  /** Sets a worker's token, valid for an hour. */
  giveToken(worker: string, token: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * The queue of `openQueue` behind PostgREST and the gateway, as users reach it over HTTP.
 * @param options maxRows: most rows in one answer, as a hosted project may set it.
 */
export async function openQueueApi(options: { readonly maxRows?: number } = {}): Promise<QueueApi> {
  const logger = pino({ level: "fatal" }, process.stderr);
  const guardian = await startGuardian({ logger });
  const undo: (() => Promise<unknown>)[] = [() => guardian.close()];
  const close = async () => {
    for (const end of undo.splice(0).reverse()) {
      await end();
    }
  };
  try {
    const directory = await mkdtemp(join(tmpdir(), "gpu-pool-queue-"));
    await guardian.removeAtEnd(directory);
    await chmod(directory, 0o711);
    const queue = await openQueue();
    undo.push(() => queue.close());
    const keys = await makeKeys();
    const rest = { guardian, logger, databaseUrl: queue.database.authenticatorUrl, jwtSecret: keys.jwtSecret };
    const postgrest = await startOnFreePort(
      undefined,
      async (port) => await startPostgrest({ ...rest, ...options, port }),
    );
    const gateway = await startGateway({
      port: 0,
      postgrestUrl: postgrest.url,
      databaseUrl: queue.database.databaseUrl,
      storageDir: join(directory, "storage"),
      keys,
      videoBucket: "videos",
      logger,
    });
    undo.push(() => gateway.close());
    const client = (key: string, headers: Readonly<Record<string, string>> = {}) =>
      createClient(gateway.url, key, {
        global: { headers },
        auth: { persistSession: false, autoRefreshToken: false },
        realtime: { transport: WebSocket as never },
      });
    return {
      queue,
      keys,
      url: gateway.url,
      client,
      asWorker: (token) => client(keys.anonKey, { "x-worker-token": token }),
      async giveToken(worker, token) {
        await queue.rows(
          "update workers set token_hash = $2, token_expires_at = now() + interval '1 hour' where id = $1",
          [worker, sha256(token)],
        );
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
