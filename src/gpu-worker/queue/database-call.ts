import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { storable, UnstorableError } from "../../../supabase/functions/_shared/text.ts";
import type { Outages } from "./outages.ts";
import { QueueError, kindOf } from "./queue-error.ts";
import type { Lease } from "./queue.ts";

/** Calls a database function and reads its answer. @throws QueueError */
export type DatabaseCall = <T>(name: string, args: object, answer: z.ZodType<T>) => Promise<T>;

export function createDatabaseCall(client: SupabaseClient, outages: Outages): DatabaseCall {
  return async (name, args, answer) => {
    const { data, error, status } = await client.rpc(name, sendable(name, args));
    if (error) {
      const cause = status === 0 ? /Caused by: (.*)/.exec(error.details)?.[1] : undefined;
      const detail = [error.message, error.hint, cause].filter(Boolean).join("; ");
      const failure = new QueueError(kindOf(status, error.code), name, status, detail);
      outages.failed(failure);
      throw failure;
    }
    outages.answered(name);
    const parsed = answer.safeParse(data);
    if (parsed.success) {
      return parsed.data;
    }
    throw new QueueError("rejected", name, status, `the answer cannot be read: ${z.prettifyError(parsed.error)}`);
  };
}

export function leaseArgs({ taskId, leaseToken }: Lease) {
  return { p_task_id: taskId, p_lease_token: leaseToken };
}

/** Arguments as the database takes them. @throws QueueError when they are nested too deeply or too long */
function sendable(name: string, args: object): object {
  try {
    return storable(args);
  } catch (error) {
    throw error instanceof UnstorableError ? new QueueError("rejected", name, 0, error.message, error) : error;
  }
}
