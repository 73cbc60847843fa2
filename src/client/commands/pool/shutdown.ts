import { setTimeout as sleep } from "node:timers/promises";
import { poolQueries, poolUpdates } from "../../../contract/pool-api.ts";
import type { Intent } from "../../../contract/intent.ts";
import { poolWorkflowId } from "../../../contract/names.ts";
import type { Snapshot } from "../../../contract/plan.ts";
import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { missingPool } from "../../missing-pool.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { describeIntent } from "../../render/intent.ts";
import { askPool, FOREIGN_ADVICE, updatePool } from "../../pool-workflow.ts";
import { counted } from "../../render/rows.ts";

const POLL_MS = 1_000;
const DESCRIBE_TIMEOUT_MS = 10_000;

export async function shutDown(context: Context, options: PoolOptions & { wait?: boolean }): Promise<void> {
  const { output } = context;
  const pool = poolName(context, options);
  const intent = await orderShutdown(context, pool);
  if (options.wait) {
    await waitForEnd(context, pool);
  }
  if (options.json) {
    output.printJson({ pool, ...intent, ended: options.wait === true });
  } else if (options.wait) {
    output.print(`pool ${pool}: ended, no pod is left`);
  } else {
    output.print(`pool ${pool}: ${describeIntent(intent, Date.now())}`);
  }
}

/** A pool that shuts down refuses a second order, so its intent is printed instead. */
async function orderShutdown(context: Context, pool: string): Promise<Intent> {
  const asked = await askPool(context.connections, pool, poolQueries.status);
  if (asked.state === "not_running") {
    throw await missingPool(context, pool, `shutdown: pool ${pool} does not run: ${asked.reason}`);
  }
  if (asked.state === "foreign") {
    throw new ClientError(EXIT.failed, `shutdown: ${asked.reason}`, FOREIGN_ADVICE);
  }
  const intent = asked.state === "answers" ? asked.answer.snapshot?.intent : undefined;
  if (intent?.mode === "closing") {
    return intent;
  }
  return await updatePool(context, pool, poolUpdates.shutdown.name, (workflow) =>
    workflow.executeUpdate(poolUpdates.shutdown),
  );
}

/** @throws ClientError when the workflow ended in another way than by its own shutdown */
async function waitForEnd(context: Context, pool: string): Promise<void> {
  const { client, within } = await context.connections.temporal();
  const handle = client.workflow.getHandle(poolWorkflowId(pool));
  let shown = "";
  for (;;) {
    const { status } = await within(DESCRIBE_TIMEOUT_MS, () => handle.describe());
    if (status.name === "COMPLETED" || status.name === "CANCELLED") {
      return;
    }
    if (status.name !== "RUNNING" && status.name !== "CONTINUED_AS_NEW") {
      throw new ClientError(
        EXIT.failed,
        `shutdown: the workflow of pool ${pool} is ${status.name.toLowerCase()}: workers may be left`,
        "Start the pool again and repeat the shutdown: its row knows every worker.",
      );
    }
    const asked = await askPool(context.connections, pool, poolQueries.status);
    const line =
      asked.state === "answers"
        ? describeLeft(pool, asked.answer.snapshot)
        : `pool ${pool} does not answer: ${asked.reason}; still waiting`;
    if (line !== shown) {
      shown = line;
      context.output.progress(line);
    }
    await sleep(POLL_MS);
  }
}

/** How many workers a shutdown still waits for, in words. */
export function describeLeft(pool: string, snapshot: Snapshot | null): string {
  if (snapshot === null) {
    return `pool ${pool}: not observed yet`;
  }
  const { spawning, idle, busy, terminating, failing } = snapshot;
  const left = spawning + idle + busy + terminating + failing;
  const working = busy > 0 ? `, ${busy} of them at work` : "";
  return left === 0 ? `pool ${pool}: ending` : `pool ${pool}: ${counted(left, "worker", "workers")} left${working}`;
}
