import type { SupabaseClient } from "@supabase/supabase-js";
import { z } from "zod";
import { createDatabaseCall } from "./database-call.ts";
import type { Outages } from "./outages.ts";

/** Writes what this worker can do into its row: from then on its claims give it nothing else. @throws QueueError */
export function createTypeStatement(
  client: SupabaseClient,
  workerId: string,
  outages: Outages,
  types: readonly string[],
): () => Promise<void> {
  const call = createDatabaseCall(client, outages);
  return async () => {
    const args = { p_worker_id: workerId, p_task_types: types };
    await call("worker_can_do", args, z.object({ worker_status: z.string() }));
  };
}
