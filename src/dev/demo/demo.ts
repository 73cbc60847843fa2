import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Connection } from "@temporalio/client";
import { pino } from "pino";
import { escapedJson } from "../../../supabase/functions/_shared/text.ts";
import { channelArgsFor } from "../../process/temporal-address.ts";
import { POOL_WORKFLOW, poolWorkflowId } from "../../contract/names.ts";
import { GPU_POOL } from "../../contract/search-attributes.ts";
import { shellCommand } from "../../process/shell-command.ts";
import { connectDatabase } from "../../supabase/client.ts";
import { taskStore } from "../../supabase/task-store.ts";
import { reportDemo } from "./report.ts";
import { demoTasks } from "./tasks.ts";
import { demoWatcher, renderShortView, renderView } from "./watch.ts";
import { type Stack, startStack } from "../stack.ts";

const POOL = "main";
const TASKS = 12;
const PEAK = 4;
const LOOK_MS = 250;
const LONGEST_SEC = 120;

/** Settings that make the demo quick; all others have their defaults. */
const SETTINGS = {
  MIN_ACTIVE_GPUS: "0",
  MAX_ACTIVE_GPUS: String(PEAK),
  TASKS_PER_GPU_THRESHOLD: "3",
  WORKER_GRACE_PERIOD_SEC: "2",
  SCALE_DOWN_IDLE_SEC: "2",
  POD_LIST_LAG_SEC: "1",
  WORKER_HEARTBEAT_MS: "5000",
  WORKER_POLL_MS: "250",
  LOG_LEVEL: "warn",
};
const PROVIDER = { provisioningMs: 500, startingMs: 500, deleteLagSec: 0.5 };

export interface DemoOptions {
  readonly keep: boolean;
  readonly dataDir: string;
  /** Ends the demo early. */
  readonly signal: AbortSignal;
  readonly show: DemoScreen;
}

export interface DemoScreen {
  line(text: string): void;
  /** Overwrites its last line on a terminal. @param short the same for a terminal of 80 columns. */
  progress(text: string, short: string): void;
}

/** Runs the main job from an empty queue to an empty fleet. @returns the exit code: 0 only if every check passed. */
export async function runDemo({ keep, dataDir, signal, show }: DemoOptions): Promise<number> {
  const startedAt = Date.now();
  show.line("The demo's settings, as the environment variables that they are:");
  show.line(
    Object.entries(SETTINGS)
      .map(([name, value]) => `  ${name}=${value}`)
      .join("\n"),
  );
  show.line("");
  const logger = pino({ level: "error", hooks: { streamWrite: escapedJson } }, process.stderr);
  const stack = await startStack({
    dataDir,
    logger,
    fresh: true,
    simulator: PROVIDER,
    onPart: (part, detail) => show.line(`  ${part.padEnd(9)} ${detail}`),
  });
  try {
    signal.throwIfAborted();
    const code = await runMainJob(stack, signal, show);
    show.line(`\n${code === 0 ? "All of it is true" : "Not as promised"}, after ${seconds(startedAt)} s.`);
    if (keep) {
      await keepUp(stack, signal, show);
    }
    return code;
  } finally {
    await stack.close();
  }
}

async function runMainJob(stack: Stack, signal: AbortSignal, show: DemoScreen): Promise<number> {
  const { simulator } = stack;
  if (simulator === null) {
    throw new Error("the demo runs on the simulator only");
  }
  const worker = stack.startTemporalWorker(SETTINGS);
  const { SUPABASE_URL: url = "", SUPABASE_SERVICE_ROLE_KEY: serviceRoleKey = "" } = stack.env;
  const database = connectDatabase({ url, serviceRoleKey });
  await startPool(stack.env["TEMPORAL_ADDRESS"] ?? "");

  const startedAt = Date.now();
  const tasks = demoTasks(TASKS).map((params) => ({ id: randomUUID(), task_type: "generate_video", params }));
  await taskStore(database).submit(tasks);
  show.line(`\n${TASKS} generate_video tasks submitted to pool "${POOL}".\n`);

  const look = demoWatcher(database, simulator, POOL);
  let peak = 0;
  for (;;) {
    signal.throwIfAborted();
    const view = await look();
    peak = Math.max(peak, view.workers.booting + view.workers.ready);
    for (const entry of view.news) {
      show.line(`${seconds(startedAt).padStart(5)} s  ${entry}`);
    }
    const elapsedSec = (Date.now() - startedAt) / 1000;
    show.progress(renderView(view, TASKS, elapsedSec), renderShortView(view, TASKS, elapsedSec));
    const ended = (view.tasks["Complete"] ?? 0) + (view.tasks["Failed"] ?? 0);
    const { booting, ready, leaving } = view.workers;
    if (ended === TASKS && booting + ready + leaving + view.livePods === 0) {
      break;
    }
    if (Date.now() - startedAt > LONGEST_SEC * 1000) {
      show.line(`\nNot done after ${LONGEST_SEC} s. The Temporal worker's last lines:\n${worker.outputTail()}`);
      break;
    }
    await sleep(LOOK_MS, undefined, { signal });
  }
  show.line("");
  const report = await reportDemo(database, simulator, { tasks: TASKS, peak: PEAK }, peak);
  show.line(report.text);
  for (const fault of report.faults) {
    show.line(`FAULT: ${fault}`);
  }
  return report.faults.length === 0 ? 0 : 1;
}

async function startPool(address: string): Promise<void> {
  const connection = await Connection.connect({ address, ...channelArgsFor(address) });
  try {
    await new Client({ connection }).workflow.start(POOL_WORKFLOW, {
      workflowId: poolWorkflowId(POOL),
      taskQueue: "gpu-pool",
      args: [{ pool: POOL }],
      staticSummary: `GPU pool ${POOL}`,
      typedSearchAttributes: [{ key: GPU_POOL, value: POOL }],
    });
  } finally {
    await connection.close();
  }
}

async function keepUp(stack: Stack, signal: AbortSignal, show: DemoScreen): Promise<void> {
  const workflow = `${stack.temporalUiUrl}/namespaces/default/workflows/${encodeURIComponent(poolWorkflowId(POOL))}`;
  show.line("\nThe stack stays up until Ctrl-C:");
  show.line(`  Web UI     ${workflow}`);
  show.line(`  API        ${stack.env["SUPABASE_URL"]}`);
  show.line(`  Simulator  ${stack.simulator?.url}/_sim/ledger`);
  show.line(`  Command    ${shellCommand(process.env, "--env-file", stack.envFile, "status")}`);
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

function seconds(since: number): string {
  return ((Date.now() - since) / 1000).toFixed(1);
}
