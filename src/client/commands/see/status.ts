import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { missingPool } from "../../missing-pool.ts";
import { describeError } from "../../describe-error.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { createStatusReader } from "./status-read.ts";
import type { PoolReading } from "../../render/pool-reading.ts";
import { renderStatus, statusJson } from "../../render/status.ts";

const REDRAW_MS = 2_000;

export async function showStatus(context: Context, options: PoolOptions & { watch?: boolean }): Promise<void> {
  const read = createStatusReader(context.connections, poolName(context, options));
  if (options.watch) {
    await watch(context, read, options.json === true);
  } else {
    const reading = await read();
    show(context, reading, options.json === true);
    await refuseUnknown(context, reading);
  }
}

function show({ output }: Context, reading: PoolReading, json: boolean): void {
  if (json) {
    output.printJson(statusJson(reading));
  } else {
    output.print(renderStatus(reading, output.size().columns, output.style));
  }
}

/** The queue is shown all the same: tasks may wait for a pool that is not started yet. */
async function refuseUnknown(context: Context, { pool, intent, controller }: PoolReading): Promise<void> {
  const isStarting = controller.state === "answers" || controller.state === "silent";
  if (intent === null && !isStarting) {
    throw await missingPool(context, pool, `there is no pool ${pool}`);
  }
  if (controller.state === "unreachable") {
    throw new ClientError(EXIT.unreachable, controller.reason, "What is shown is the database's.");
  }
}

async function watch(context: Context, read: () => Promise<PoolReading>, json: boolean): Promise<void> {
  const { output, env } = context;
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const fullScreen = output.isTerminal && !json;
  let last: PoolReading | null = null;
  try {
    while (!stopping.signal.aborted) {
      const problem = await read().then(
        (reading) => void (last = reading),
        (error: unknown) => {
          // An error of the first look is not an outage: it ends the command.
          if (last === null) {
            throw error;
          }
          return describeError(error, env).text;
        },
      );
      if (fullScreen) {
        output.drawScreen(frame(context, last, problem ?? null));
      } else if (problem === undefined && last !== null) {
        show(context, last, json);
      } else {
        output.note((problem ?? "").split("\n"));
      }
      await sleep(REDRAW_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  } finally {
    output.leaveScreen();
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

function frame({ output }: Context, reading: PoolReading | null, problem: string | null): string[] {
  const { columns, rows } = output.size();
  const lines = reading === null ? [] : renderStatus(reading, columns, output.style);
  const age = reading === null ? "" : `${new Date(reading.nowMs).toISOString().slice(11, 19)} UTC`;
  const foot =
    problem === null ? output.style("dim", `${age}; Ctrl-C ends`) : output.style("red", problem.split("\n")[0] ?? "");
  const visible = lines.slice(0, Math.max(0, rows - 2));
  return [...visible, "", foot];
}
