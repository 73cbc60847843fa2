import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { type Ran, runClient } from "../client.ts";
import { openQueueApi } from "../queue-api.ts";
import type { Queue } from "../queue.ts";

/** A queue, and the command on it, without a pool that runs. */
export interface ClientOfQueue {
  readonly queue: Queue;
  /** The folder that the command runs in; absolute paths alone lead there. */
  readonly cwd: string;
  run(args: readonly string[], env?: Readonly<Record<string, string>>, input?: string): Promise<Ran>;
  /** What the command prints with --json; fails where it fails. */
  runJson<T>(...args: string[]): Promise<T>;
  /** Writes rows as they are, by statements with their values; no trigger runs. */
  write(...statements: readonly (readonly [string, ...unknown[]])[]): Promise<void>;
  close(): Promise<void>;
}

/** @param more of the command's environment */
export async function openClientOfQueue(more: Readonly<Record<string, string>> = {}): Promise<ClientOfQueue> {
  const cwd = await mkdtemp(join(tmpdir(), "client-of-queue-"));
  const api = await openQueueApi();
  const { anonKey, serviceRoleKey } = api.keys;
  const own = { SUPABASE_URL: api.url, SUPABASE_ANON_KEY: anonKey, SUPABASE_SERVICE_ROLE_KEY: serviceRoleKey, ...more };
  const run: ClientOfQueue["run"] = (args, env = {}, input = "") =>
    runClient(args, { cwd, env: { ...own, ...env }, input });
  return {
    queue: api.queue,
    cwd,
    run,
    async runJson<T>(...args: string[]) {
      const { exitCode, stdout, stderr } = await run([...args, "--json"]);
      expect({ exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ exitCode: 0, stderr: "" });
      return JSON.parse(stdout) as T;
    },
    async write(...statements) {
      const session = await api.queue.session();
      await session.rows("begin");
      await session.rows("set local session_replication_role = replica");
      for (const [text, ...values] of statements) {
        await session.rows(text, values);
      }
      await session.rows("commit");
      await session.end();
    },
    async close() {
      await api.close();
      await rm(cwd, { recursive: true, force: true });
    },
  };
}
