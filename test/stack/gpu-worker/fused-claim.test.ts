import { once } from "node:events";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { request } from "undici";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Engine, Generated } from "../../../src/gpu-worker/engines/engine.ts";
import { createPreviewEngine } from "../../../src/gpu-worker/engines/preview/preview-engine.ts";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import type { Orders } from "../../../src/gpu-worker/orders.ts";
import { requestOf } from "../../kit/gpu-worker/engine-request.ts";
import { startLiveWorker } from "../../kit/gpu-worker/live-worker.ts";
import { openQueueApi, type QueueApi } from "../../kit/queue-api.ts";

const SMALL = { prompt: "a cat", frames: 2, fps: 24, width: 64, height: 48, seed: 7 };

/** The n-th call of a database function. */
interface Call {
  readonly name: string;
  readonly nth: number;
}
type Answer = "given" | "cut" | "kept";

let api: QueueApi;
let proxy: Server;
let directory: string;
let ffmpegPath: string;
let rendered: Generated;
let calls: string[];
/** Called before the database does the work. */
let before: (call: Call) => unknown;
/** Decides, after the database has done the work, what becomes of its answer. */
let fate: (call: Call) => Answer | Promise<Answer>;
let pool: string;
let worker: string;
let orders: Orders;
let ended: Promise<number>;

beforeAll(async () => {
  api = await openQueueApi();
  directory = await mkdtemp(join(tmpdir(), "fused-claim-"));
  ffmpegPath = await findFfmpeg(null);
  rendered = await createPreviewEngine(ffmpegPath).generate(
    requestOf(SMALL, { outputDir: directory, basename: "rendered" }),
  );
  proxy = createServer((incoming, response) => {
    const name = /\/rpc\/(\w+)/.exec(incoming.url ?? "")?.[1] ?? "";
    calls.push(name);
    const call = { name, nth: calls.filter((each) => each === name).length };
    void (async () => {
      await before(call);
      const { status, headers, body } = await forward(incoming);
      const answer = await fate(call);
      if (answer === "cut") {
        incoming.socket.destroy();
      } else if (answer === "given") {
        response.writeHead(status, headers).end(body);
      }
    })().catch(() => incoming.socket.destroy());
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
});
afterAll(async () => {
  proxy?.closeAllConnections();
  proxy?.close();
  await api?.close();
  await rm(directory, { recursive: true, force: true });
});

async function forward(incoming: IncomingMessage) {
  const { connection: _, "transfer-encoding": __, expect: ___, ...headers } = incoming.headers;
  const body = await buffer(incoming);
  const answer = await request(`${api.url}${incoming.url}`, {
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

beforeEach(async () => {
  calls = [];
  before = () => undefined;
  fate = () => "given";
  pool = await api.queue.newPool();
  worker = await api.queue.newWorker(pool);
});
afterEach(async () => {
  orders.stop("abandon", "the test is over");
  await ended;
});

/** Every task is the same video, which is rendered once. */
const copies: Engine = {
  ...createPreviewEngine("ffmpeg"),
  name: "copies",
  async generate({ outputDir, basename }) {
    const path = join(outputDir, `${basename}.mp4`);
    await copyFile(rendered.files[0], path);
    return { ...rendered, files: [path] };
  },
};

/** A GPU worker in this process, whose calls go through the proxy. */
async function startWorker(): Promise<void> {
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  ({ orders, ended } = await startLiveWorker(api, { worker, url, engine: copies }));
}

function addTasks(count: number, params: object = SMALL): Promise<string[]> {
  return api.queue.addTasks(pool, count, { params: JSON.stringify(params) });
}

/** The attempts of each task in the order of the queue: their causes, and null for an open one. */
async function attempts(): Promise<(string | null)[][]> {
  const rows = await api.queue.rows<{ causes: (string | null)[] }>(
    `select array(select cause::text from task_attempts where task_id = t.id order by attempt) as causes
     from tasks t where pool = $1 order by vtime`,
    [pool],
  );
  return rows.map(({ causes }) => causes);
}
function claiming(): string[] {
  return calls.filter((name) => /claim|finish/.test(name));
}
function drain(): Promise<unknown> {
  return api.queue.call("drain_worker", { p_worker_id: worker, p_reason: "test", p_only_idle: false });
}

describe("a GPU worker that finishes a task and claims the next in one call", () => {
  it("completes each task once, and claims on its own only where no task was left", async () => {
    await addTasks(2);
    await startWorker();
    await expect.poll(() => claiming().length, { interval: 20 }).toBeGreaterThan(3);
    expect(await attempts()).toEqual([["completed"], ["completed"]]);
    expect(claiming().slice(0, 4)).toEqual(["claim_task", "finish_and_claim", "finish_and_claim", "claim_task"]);
  });

  it("sends the same call again when the answer is lost: no lease is lost, and nothing is completed twice", async () => {
    await addTasks(2);
    fate = ({ name, nth }) => (name === "finish_and_claim" && nth !== 2 && nth < 4 ? "cut" : "given");
    await startWorker();
    const sent = ["claim_task", ...Array<string>(4).fill("finish_and_claim"), "claim_task"];
    await expect.poll(() => claiming().slice(0, 6), { interval: 20 }).toEqual(sent);
    expect(await attempts()).toEqual([["completed"], ["completed"]]);
  });

  it("claims nothing with the completion when it has been ordered to leave", async () => {
    await addTasks(2);
    fate = async ({ name }): Promise<Answer> => {
      if (name === "claim_task") {
        const ordered = once(orders.leaving, "abort");
        await drain();
        await ordered;
      }
      return "given";
    };
    await startWorker();
    expect(await ended).toBe(0);
    expect(await attempts()).toEqual([["completed"], []]);
    expect(calls).not.toContain("finish_and_claim");
  });

  it("works on what the lost answer had claimed, and on nothing more, when it is drained meanwhile", async () => {
    await addTasks(3);
    fate = async ({ name, nth }): Promise<Answer> => {
      if (name !== "finish_and_claim" || nth > 1) {
        return "given";
      }
      await drain();
      return "cut";
    };
    await startWorker();
    expect(await ended).toBe(0);
    expect(await attempts()).toEqual([["completed"], ["completed"], []]);
  });

  it("works on what the lost answer had claimed also when its own task is deleted and it is drained meanwhile", async () => {
    const [first] = await addTasks(3);
    fate = async ({ name, nth }): Promise<Answer> => {
      if (name !== "finish_and_claim" || nth > 1) {
        return "given";
      }
      const ordered = once(orders.leaving, "abort");
      await api.queue.rows("delete from tasks where id = $1", [first]);
      await drain();
      await ordered;
      return "cut";
    };
    await startWorker();
    expect(await ended).toBe(0);
    expect(await attempts()).toEqual([["completed"], []]);
  });

  it.each([
    ["is cut", "cut"],
    ["does not come", "kept"],
  ] as const)("gives back what the lost answer had claimed when it has to stop: the answer %s", async (_, how) => {
    const [, next] = await addTasks(2);
    fate = ({ name }) => {
      if (name === "finish_and_claim") {
        orders.stop("release", "the process received SIGTERM");
        return how;
      }
      return "given";
    };
    await startWorker();
    expect(await ended).toBe(0);
    expect(await attempts()).toEqual([["completed"], ["released"]]);
    expect(await api.queue.task(next!)).toMatchObject({ status: "Queued", gate: "open", attempts: 0 });
  });

  it("claims on its own after a task that failed", async () => {
    await addTasks(1, { ...SMALL, width: 513 });
    await addTasks(1);
    await startWorker();
    await expect.poll(attempts, { interval: 20 }).toEqual([["task_error"], ["completed"]]);
    expect(claiming().slice(0, 3)).toEqual(["claim_task", "claim_task", "finish_and_claim"]);
  });

  it("goes on with the next task when its own one was deleted before its completion", async () => {
    const [deleted] = await addTasks(2);
    before = async ({ name, nth }) => {
      if (name === "finish_and_claim" && nth === 1) {
        await api.queue.rows("delete from tasks where id = $1", [deleted]);
      }
    };
    await startWorker();
    await expect.poll(attempts, { interval: 20 }).toEqual([["completed"]]);
    expect(claiming().slice(0, 3)).toEqual(["claim_task", "finish_and_claim", "claim_task"]);
    expect(orders.leaving.aborted).toBe(false);
  });
});
