import type { WorkflowHandle } from "@temporalio/client";
import { poolSignals } from "../../../src/contract/pool-api.ts";
import type { Stage } from "../workflow/fake-service.ts";
import { seen } from "./plans.ts";

/** More signals than are written one by one come while the database does not answer. */
export async function playFolded(stage: Stage): Promise<readonly WorkflowHandle[]> {
  let answer = () => {};
  const database = new Promise<void>((resolve) => (answer = resolve));
  stage.hooks.recordMessage = () => database;
  const pool = await stage.startPool();
  for (let target = 0; target < 150; target += 1) {
    await pool.signal(poolSignals.scale, { target });
  }
  answer();
  await seen("the last size", () => stage.intent.hold === 149);
  return [pool];
}
