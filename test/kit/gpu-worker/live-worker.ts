import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { runClaimLoop } from "../../../src/gpu-worker/claim-loop.ts";
import type { Engine } from "../../../src/gpu-worker/engines/engine.ts";
import { createPreviewEngine } from "../../../src/gpu-worker/engines/preview/preview-engine.ts";
import type { OpenInputs } from "../../../src/gpu-worker/inputs/inputs.ts";
import { createOrders, type Orders } from "../../../src/gpu-worker/orders.ts";
import { connect } from "../../../src/gpu-worker/queue/connection.ts";
import { createOutages } from "../../../src/gpu-worker/queue/outages.ts";
import { createPostgresQueue } from "../../../src/gpu-worker/queue/postgres-queue.ts";
import { createSupabaseFileStore } from "../../../src/gpu-worker/queue/supabase-file-store.ts";
import { createUploads } from "../../../src/gpu-worker/queue/uploads.ts";
import { createRouter, type Router } from "../../../src/gpu-worker/router.ts";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import type { QueueApi } from "../queue-api.ts";
import { localInputs } from "./fake-task.ts";

export interface LiveWorkerOptions {
  /** Its id; its row exists. */
  readonly worker: string;
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
  const token = randomUUID();
  await api.giveToken(worker, token);
  const client = connect({ supabaseUrl, supabaseKey: api.keys.anonKey, workerToken: token }, fetch);
  const logger = pino({ level: "silent" });
  const outages = createOutages(logger);
  const orders = createOrders(() => undefined);
  const ffmpegPath = await findFfmpeg(null);
  const engine = options.engine ?? createPreviewEngine(ffmpegPath);
  const outputDir = await mkdtemp(join(tmpdir(), "live-worker-"));
  const running = runClaimLoop({
    queue: createPostgresQueue(client, worker, outages),
    fileStore: createSupabaseFileStore(createUploads(client, "videos", outages)),
    router: options.router ?? createRouter(engine),
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
