import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { type FakeServer, startFakeServer } from "../../kit/fake-queue-server.ts";
import { PATIENCE_MS } from "../../kit/patience.ts";
import { inRealTime } from "../../kit/video/real-time.ts";

const KEY = "rpa_key-that-no-log-may-show";
const IN_A_MINUTE_MS = 60_000;

/** A provider that knows one pod and answers the first request with 503. */
async function startProvider() {
  const requests: string[] = [];
  const server = createServer((request, reply) => {
    requests.push(`${request.method} ${request.url}`);
    reply.writeHead(requests.length === 1 ? 503 : 204).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2` };
}

/** Runs the real program as in a pod that must end `endsInMs` from now, until the program exits. */
async function runInPod(endsInMs: number, env: Record<string, string>, prepare: (server: FakeServer) => void) {
  const [provider, server] = await Promise.all([startProvider(), startFakeServer()]);
  const directory = await mkdtemp(join(tmpdir(), "gpu-worker-fuse-"));
  onTestFinished(async () => {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });
  prepare(server);
  const { exitCode, all } = await execa(process.execPath, [join(inject("shared").dist, "src/gpu-worker/main.js")], {
    extendEnv: false,
    reject: false,
    all: true,
    timeout: PATIENCE_MS,
    env: {
      PATH: process.env.PATH,
      WORKER_ID: "pool-0a1b2c3d",
      SUPABASE_URL: server.url,
      SUPABASE_ANON_KEY: "anon",
      WORKER_TOKEN: "token",
      WORKER_ENGINE: "preview",
      WORKER_POLL_MS: "100",
      WORKER_HEARTBEAT_MS: "200",
      WORKER_OUTPUT_DIR: directory,
      POD_ENDS_AT: new Date(Date.now() + endsInMs).toISOString(),
      RUNPOD_POD_ID: "x1y2z3",
      RUNPOD_API_KEY: KEY,
      RUNPOD_API_URL: provider.url,
      ...(await inRealTime()),
      ...env,
    },
  });
  expect(all).not.toContain(KEY);
  expect(provider.requests).toEqual(["DELETE /v2/pods/x1y2z3", "DELETE /v2/pods/x1y2z3"]);
  return { exitCode, output: all, calls: server.state.calls };
}

describe("invariant 15: a GPU worker in a pod", () => {
  let lifeOfASecondMs = 0;

  it("that has outlived its end deletes the pod before anything else, and claims nothing", async () => {
    const unusable = { FFMPEG_PATH: "/no/such/program" };
    const { exitCode, output, calls } = await runInPod(-1_000, unusable, (server) => void server.addTask({}));
    expect({ exitCode, calls }).toEqual({ exitCode: 0, calls: [] });
    expect(output).toContain("has outlived its end");
  });

  it("deletes the pod when it ends because of its maximum lifetime", async () => {
    const begunMs = performance.now();
    const { exitCode, output } = await runInPod(IN_A_MINUTE_MS, { WORKER_MAX_LIFETIME_SEC: "1" }, () => undefined);
    lifeOfASecondMs = performance.now() - begunMs;
    expect(exitCode).toBe(0);
    expect(output).toContain("it deletes its own pod");
  });

  it("deletes the pod in mid-task and ends, although its database never answers", async () => {
    // Time to start and to begin a task, however busy this machine is.
    const { exitCode, output } = await runInPod(Math.max(6_000, 3 * lifeOfASecondMs), {}, (server) => {
      server.addTask({ prompt: "a river", frames: 1_000, fps: 5, width: 64, height: 48 });
      server.state.faults.set("release_task", "hang");
    });
    expect(exitCode).toBe(0);
    expect(output).toContain("task begun");
    expect(output).toContain("task broken off: pod x1y2z3 has outlived its end");
  });
});
