import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Logger, pino } from "pino";
import { type ClaimLoopDeps, runClaimLoop } from "../../../src/gpu-worker/claim-loop.ts";
import type { Engine } from "../../../src/gpu-worker/engines/engine.ts";
import { createPreviewEngine } from "../../../src/gpu-worker/engines/preview/preview-engine.ts";
import type { OpenInputs } from "../../../src/gpu-worker/inputs/inputs.ts";
import { createOrders, type Orders } from "../../../src/gpu-worker/orders.ts";
import { connectQueue } from "../../../src/gpu-worker/queue/connect-queue.ts";
import { connect } from "../../../src/gpu-worker/queue/connection.ts";
import { createOutages } from "../../../src/gpu-worker/queue/outages.ts";
import { createPostgresQueue } from "../../../src/gpu-worker/queue/postgres-queue.ts";
import { createSupabaseFileStore } from "../../../src/gpu-worker/queue/supabase-file-store.ts";
import { createUploads } from "../../../src/gpu-worker/queue/uploads.ts";
import { createRouter, type Router } from "../../../src/gpu-worker/router.ts";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { findTaskType } from "../../../src/task-types/task-types.ts";
import type { QueueApi } from "../queue-api.ts";
import { localInputs } from "./fake-task.ts";

export interface LiveWorkerOptions {
  /** Its id; its row exists, unless it is a user's own machine. */
  readonly worker: string;
  /** The JWT or personal token of the user whose machine it is; default: the worker has a token of its own. */
  readonly accessToken?: string;
  /** Where it sends its calls; default: the gateway itself. */
  readonly url?: string;
  /** Default: previews. */
  readonly engine?: Engine;
  readonly router?: Router;
  /** Default: paths on this machine, and nothing else. */
  readonly openInputs?: OpenInputs;
}

export interface LiveWorker {
  readonly orders: Orders;
  /** Its exit code. */
  readonly ended: Promise<number>;
  /** Ends it as a crash does: nothing about its task is written. */
  crash(): Promise<void>;
}

/** A GPU worker in this process: it claims, does and completes the tasks of its pool over HTTP until it is ordered to leave. */
export async function startLiveWorker(api: QueueApi, options: LiveWorkerOptions): Promise<LiveWorker> {
  const { worker, url: supabaseUrl = api.url } = options;
  const logger = pino({ level: "silent" });
  const orders = createOrders(() => undefined);
  const ffmpegPath = await findFfmpeg(null);
  const engine = options.engine ?? createPreviewEngine(ffmpegPath);
  const router = options.router ?? createRouter(engine);
  const outputDir = await mkdtemp(join(tmpdir(), "live-worker-"));
  const running = runClaimLoop({
    ...(await openOwnQueue(api, { ...options, url: supabaseUrl }, router, logger)),
    router,
    engine,
    openInputs: options.openInputs ?? localInputs,
    orders,
    logger,
    workerId: worker,
    outputDir,
    ffmpegPath,
    readVram: async () => ({ totalMb: null, usedMb: null }),
    pollMs: 50,
    heartbeatMs: 100,
    sendLogs: async () => undefined,
  });
  const end = async (): Promise<number> => {
    const code = await running;
    await rm(outputDir, { recursive: true, force: true });
    return code;
  };
  const ended = end();
  return {
    orders,
    ended,
    async crash() {
      orders.stop("abandon", "it crashes");
      await ended;
    },
  };
}

async function openOwnQueue(
  api: QueueApi,
  { worker, url: supabaseUrl = api.url, accessToken }: LiveWorkerOptions,
  router: Router,
  logger: Logger,
): Promise<Pick<ClaimLoopDeps, "queue" | "fileStore">> {
  const supabaseKey = api.keys.anonKey;
  if (accessToken !== undefined) {
    const user = { accessToken, workerToken: null, localFile: null, stuckTimeoutSec: 300, videoBucket: "videos" };
    const types = router.types.map((name) => findTaskType(name)!);
    return await connectQueue({ ...user, workerId: worker, supabaseUrl, supabaseKey }).open(types, logger);
  }
  const token = randomUUID();
  await api.giveToken(worker, token);
  const client = connect({ supabaseUrl, supabaseKey, workerToken: token }, fetch);
  const outages = createOutages(logger);
  return {
    queue: createPostgresQueue(client, worker, outages),
    fileStore: createSupabaseFileStore(createUploads(client, "videos", outages)),
  };
}
