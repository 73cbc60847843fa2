import { z } from "zod";
import type { Database } from "./client.ts";

export interface ExternalRegistration {
  readonly id: string;
  readonly pool: string;
  /** SHA-256 of the worker's token, in hex. */
  readonly tokenHash: string;
  /** SHA-256 of the secret for its heartbeats alone, in hex; absent: it sends them with its token only. */
  readonly beatHash?: string;
  /** How long the token is good for. */
  readonly lifetimeSec: number;
  /** The machine, in words. */
  readonly machine: string;
  /** What it can do, unless its program says otherwise; null or left out: anything. */
  readonly taskTypes?: readonly string[] | null;
}

export interface ExternalStore {
  /** @returns taken: the id was used before. @throws DatabaseError, PT404 when there is no such pool */
  register(registration: ExternalRegistration): Promise<"registered" | "taken">;
  /** The worker gets no further task and may finish the one that it holds. */
  drain(id: string, reason: string): Promise<{ outcome: "drained" | "not_living"; busy: boolean }>;
  /** Ends the row and its credential; a task that it still holds goes back to the queue. */
  remove(id: string, reason: string): Promise<"removed" | "not_living">;
}

/** External workers. Every call throws DatabaseError. */
export function externalStore(database: Database): ExternalStore {
  return {
    async register({ id, pool, tokenHash, beatHash, lifetimeSec, machine, taskTypes }) {
      const args = {
        p_worker_id: id,
        p_pool: pool,
        p_token_hash: tokenHash,
        p_beat_hash: beatHash ?? null,
        p_lifetime_sec: lifetimeSec,
        p_instance_type: machine,
        p_task_types: taskTypes ?? null,
      };
      const answer = z.object({ outcome: z.enum(["registered", "taken"]) });
      return (await database.call("register_external_worker", args, answer)).outcome;
    },
    drain: (id, reason) =>
      database.call(
        "drain_external_worker",
        { p_worker_id: id, p_reason: reason },
        z.object({ outcome: z.enum(["drained", "not_living"]), busy: z.boolean() }),
      ),
    async remove(id, reason) {
      const answer = z.object({ outcome: z.enum(["removed", "not_living"]) });
      return (await database.call("remove_external_worker", { p_worker_id: id, p_reason: reason }, answer)).outcome;
    },
  };
}
