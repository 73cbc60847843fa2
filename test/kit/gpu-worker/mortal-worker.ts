import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { execa } from "execa";
import { request } from "undici";
import { inject } from "vitest";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import type { QueueApi } from "../queue-api.ts";

/** Where a GPU worker's process is killed: at the n-th call of this name since it started. */
export interface KillPoint {
  /** A database function, an edge function, or "upload". */
  readonly call: string;
  readonly nth?: number;
  /** Before the call is done, or after it was done and before it is answered. */
  readonly when: "before" | "after";
}

export interface MortalWorker {
  readonly url: string;
  /** The points at which it was killed, in order. */
  readonly kills: readonly KillPoint[];
  close(): Promise<void>;
}

/** The process of a GPU worker, started again with the same id after each kill -9, as a container is. */
export async function startMortalWorker(
  api: QueueApi,
  worker: string,
  points: readonly KillPoint[],
): Promise<MortalWorker> {
  const token = randomUUID();
  await api.giveToken(worker, token);
  const outputDir = await mkdtemp(join(tmpdir(), "mortal-worker-"));
  const fate = createFate(points);
  const proxy = createServer((incoming, response) => {
    const name = nameOf(incoming);
    fate.called(name);
    void (async () => {
      if (fate.killsNow(name, "before")) {
        return;
      }
      const { status, headers, body } = await forward(api.url, incoming);
      if (!fate.killsNow(name, "after")) {
        response.writeHead(status, headers).end(body);
      }
    })().catch(() => incoming.socket.destroy());
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  // Results of other tasks have addresses of the deployment, and a worker fetches from no private address but its own project's.
  const [before] = await api.queue.rows<{ url: string | null }>("select files_url as url from deployment");
  const setFilesUrl = (to: string | null) => api.queue.rows("update deployment set files_url = $1", [to]);
  await setFilesUrl(url);
  const living = live(fate, await environmentOf(api, { worker, token, url, outputDir }));
  return {
    url,
    kills: fate.kills,
    async close() {
      fate.isOver = true;
      fate.kill();
      await living;
      await setFilesUrl(before?.url ?? null);
      proxy.closeAllConnections();
      proxy.close();
      await rm(outputDir, { recursive: true, force: true });
    },
  };
}

/** When the process is killed. */
function createFate(points: readonly KillPoint[]) {
  const pending = [...points];
  const kills: KillPoint[] = [];
  let counts = new Map<string, number>();
  const fate = {
    kills,
    isOver: false,
    /** Ends the process that runs now. */
    kill: () => {},
    born(kill: () => void) {
      counts = new Map();
      fate.kill = kill;
    },
    called: (name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1),
    killsNow(name: string, when: KillPoint["when"]): boolean {
      const [point] = pending;
      if (point?.call !== name || point.when !== when || counts.get(name) !== (point.nth ?? 1)) {
        return false;
      }
      kills.push(point);
      pending.shift();
      fate.kill();
      return true;
    },
  };
  return fate;
}

async function live(fate: ReturnType<typeof createFate>, env: Readonly<Record<string, string | undefined>>) {
  while (!fate.isOver) {
    const child = execa(process.execPath, [join(inject("shared").dist, "src", "gpu-worker", "main.js")], {
      extendEnv: false,
      reject: false,
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      env,
    });
    fate.born(() => void child.kill("SIGKILL"));
    await child;
  }
}

interface Home {
  readonly worker: string;
  readonly token: string;
  readonly url: string;
  readonly outputDir: string;
}

async function environmentOf({ keys }: QueueApi, { worker, token, url, outputDir }: Home) {
  return {
    PATH: process.env["PATH"],
    WORKER_ID: worker,
    WORKER_TOKEN: token,
    SUPABASE_URL: url,
    SUPABASE_ANON_KEY: keys.anonKey,
    WORKER_ENGINE: "preview",
    WORKER_POLL_MS: "50",
    WORKER_HEARTBEAT_MS: "1000",
    WORKER_OUTPUT_DIR: outputDir,
    FFMPEG_PATH: await findFfmpeg(null),
    LOG_LEVEL: process.env["TEST_LOG_LEVEL"] ?? "silent",
  };
}

function nameOf({ url = "", method }: IncomingMessage): string {
  const named = /\/(?:rpc|functions\/v1)\/([\w-]+)/.exec(url)?.[1];
  return named ?? (method === "PUT" || method === "POST" ? "upload" : "other");
}

async function forward(target: string, incoming: IncomingMessage) {
  const { connection: _, "transfer-encoding": __, expect: ___, ...headers } = incoming.headers;
  const body = await buffer(incoming);
  const answer = await request(`${target}${incoming.url}`, {
    method: (incoming.method ?? "GET") as "GET",
    headers: headers as Record<string, string>,
    ...(body.length > 0 && { body }),
  });
  const { connection: ____, "transfer-encoding": _____, ...kept } = answer.headers;
  return {
    status: answer.statusCode,
    headers: kept as Record<string, string>,
    body: Buffer.from(await answer.body.arrayBuffer()),
  };
}
