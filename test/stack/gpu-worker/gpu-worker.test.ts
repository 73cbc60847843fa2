import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, inject, it, vi } from "vitest";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { createRouter } from "../../../src/gpu-worker/router.ts";
import { probeVideo } from "../../../src/gpu-worker/video/probe-video.ts";
import { type FakeServer, startFakeServer } from "../../kit/fake-queue-server.ts";
import { PATIENCE_MS } from "../../kit/patience.ts";
import { inRealTime } from "../../kit/video/real-time.ts";

const ffmpegPath = await findFfmpeg(null);
const realTime = await inRealTime();
const TOKEN = "token-that-no-log-may-show";
const SMALL = { prompt: "a cat", frames: 5, fps: 24, width: 64, height: 48, seed: 7 };
const ENDS = ["finish_task", "finish_and_claim", "fail_task", "release_task"];
/** It does not end while a test runs. */
const LONG = { prompt: "a river", frames: 1_000, fps: 5, width: 64, height: 48 };

let server: FakeServer;
let directory: string;
let workers: Worker[];

beforeEach(async () => {
  workers = [];
  directory = await mkdtemp(join(tmpdir(), "gpu-worker-stack-"));
  server = await startFakeServer();
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop("SIGKILL")));
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

interface Worker {
  readonly ended: Promise<{ exitCode: number | undefined; output: string }>;
  /** Sends the signal, if it still runs, and waits for its end. */
  stop(signal?: NodeJS.Signals): Worker["ended"];
}

function startWorker(env: Record<string, string> = {}): Worker {
  const child = execa(process.execPath, [join(inject("shared").dist, "src/gpu-worker/main.js")], {
    extendEnv: false,
    reject: false,
    all: true,
    env: {
      PATH: process.env.PATH,
      WORKER_ID: "pool-0a1b2c3d",
      SUPABASE_URL: server.url,
      SUPABASE_ANON_KEY: "anon",
      WORKER_TOKEN: TOKEN,
      WORKER_ENGINE: "preview",
      WORKER_POLL_MS: "100",
      WORKER_HEARTBEAT_MS: "200",
      WORKER_OUTPUT_DIR: directory,
      ...realTime,
      ...env,
    },
  });
  const ended = child.then(({ exitCode, all }) => ({ exitCode, output: all }));
  const worker: Worker = {
    ended,
    stop(signal = "SIGTERM") {
      child.kill(signal);
      return ended;
    },
  };
  workers.push(worker);
  return worker;
}

function eventually(check: () => unknown) {
  return vi.waitFor(check, { timeout: PATIENCE_MS, interval: 50 });
}
function videoPath(task: { id: string }, attempt = 1) {
  return `${task.id}/task_${task.id}_a${attempt}.mp4`;
}

describe("the GPU worker", () => {
  it("renders, uploads and completes a task, and leaves no file behind", async () => {
    const task = server.addTask({ ...SMALL, model: "wan2gp_v2.1" }, "video_generation");
    const worker = startWorker();
    await eventually(() => expect(task.status).toBe("Complete"));

    const copy = join(directory, "copy.mp4");
    const bytes = server.state.objects.get(videoPath(task)) ?? Buffer.alloc(0);
    await writeFile(copy, bytes);
    expect(await probeVideo(copy, ffmpegPath)).toMatchObject({ codec: "h264", frames: 5, fps: 24, width: 64 });
    const url = `${server.url}/storage/v1/object/public/videos/${videoPath(task)}`;
    expect(task.outputLocation).toBe(url);
    expect(task.result).toMatchObject({
      video_url: url,
      thumbnail_url: url.replace(".mp4", "_thumb.jpg"),
      duration_seconds: 0.208,
      file_size_bytes: bytes.length,
      model_used: "preview",
      frames: 5,
      seed: 7,
      attempt: 1,
      worker_id: "pool-0a1b2c3d",
      not_honoured: [{ param: "model", reason: "the preview engine runs no model" }],
    });
    expect(server.state.objects.has(videoPath(task).replace(".mp4", "_thumb.jpg"))).toBe(true);
    expect(server.calls("worker_heartbeat")[0]?.body).toHaveProperty("p_vram_total_mb");
    // Invariant 19: it says what it can do before it claims anything.
    const types = createRouter({ can: () => true }).types;
    expect(server.calls("worker_can_do").map(({ body }) => body)).toEqual([
      { p_worker_id: "pool-0a1b2c3d", p_task_types: types },
    ]);
    const names = server.state.calls.map(({ name }) => name);
    expect(names.indexOf("worker_can_do")).toBeLessThan(names.indexOf("claim_task"));

    const { exitCode, output } = await worker.stop();
    expect(exitCode).toBe(0);
    expect(await readdir(directory)).toEqual(["copy.mp4"]);
    expect(server.state.calls.filter(({ name, token }) => name !== "head" && token !== TOKEN)).toEqual([]);
    expect(output).not.toContain(TOKEN);
  });

  it("fails bad params and unknown types for good, naming them, and does the next task", async () => {
    const bad = server.addTask({ ...SMALL, width: 513 });
    const unknown = server.addTask(SMALL, "make_tea");
    const good = server.addTask(SMALL);
    startWorker();
    await eventually(() => expect(good.status).toBe("Complete"));
    const expected = "params.width: expected an even integer between 16 and 4096, got 513";
    expect(bad).toMatchObject({ status: "Failed", permanent: true, error: expected });
    expect(unknown).toMatchObject({ status: "Failed", permanent: true });
    expect(unknown.error).toContain('"make_tea" is not supported');
  });

  it("invariant 16: fails a task whose wrong parameter would be cut through a character, at once and by its name", async () => {
    const tasks = ["🎬".repeat(60), `x${"🎬".repeat(60)}`, "\0\ud83c"].map((resolution) =>
      server.addTask({ prompt: "x", resolution }),
    );
    startWorker();
    await eventually(() => {
      for (const { status, permanent, attempt, error } of tasks) {
        expect({ status, permanent, attempt }).toEqual({ status: "Failed", permanent: true, attempt: 1 });
        expect(error).toMatch(/^params\.resolution: expected a text such as/);
      }
    });
    expect(server.calls("fail_task")).toHaveLength(3);
  });

  it("invariant 16: says the last word about a task in short when the database does not take it in full", async () => {
    server.state.refusedText = "params.frames";
    const task = server.addTask({ ...SMALL, frames: 0 });
    startWorker();
    const error = "the database did not take the reason's text; the worker's log has it";
    await eventually(() => expect(task).toMatchObject({ status: "Failed", permanent: true, error, attempt: 1 }));
    expect(server.calls("fail_task")).toHaveLength(2);
  });

  it("finishes its task when it is drained in mid-task, claims no other, and exits with 0", async () => {
    const task = server.addTask(SMALL);
    server.state.faults.set("generate-upload-url", 503);
    const worker = startWorker();
    await eventually(() => expect(server.calls("generate-upload-url")).not.toEqual([]));
    const next = server.addTask(SMALL);
    server.state.workerStatus = "terminating";
    const before = server.calls("worker_heartbeat").length;
    await eventually(() => expect(server.calls("worker_heartbeat").length).toBeGreaterThan(before + 1));
    server.state.faults.clear();
    const { exitCode } = await worker.ended;
    expect(exitCode).toBe(0);
    expect(task.status).toBe("Complete");
    expect(next.status).toBe("Queued");
    expect(server.calls("claim_task")).toHaveLength(1);
    expect(server.calls("finish_and_claim")).toEqual([]);
  });

  it("sends heartbeats while it renders, and releases the task on SIGTERM", async () => {
    const task = server.addTask(LONG);
    const worker = startWorker();
    await eventually(() => expect(task.status).toBe("In Progress"));
    const before = server.calls("worker_heartbeat").length;
    await eventually(() => expect(server.calls("worker_heartbeat").length).toBeGreaterThan(before + 10));
    expect(task.status).toBe("In Progress");
    expect(server.calls("finish_and_claim")).toEqual([]);

    const { exitCode } = await worker.stop();
    expect(exitCode).toBe(0);
    expect(task).toMatchObject({ status: "Queued", leaseToken: null });
    expect(server.calls("release_task")[0]?.body.p_reason).toBe("the process received SIGTERM");
    expect(server.calls("finish_and_claim")).toEqual([]);
    expect(await readdir(directory)).toEqual([]);
  });

  it("drops a task whose lease is lost without finishing or failing it, and goes on", async () => {
    const lost = server.addTask(LONG);
    startWorker();
    await eventually(() => expect(lost.progress.length).toBeGreaterThan(0));
    lost.leaseToken = "somebody else's";
    lost.status = "Complete";
    const next = server.addTask(SMALL);
    await eventually(() => expect(next.status).toBe("Complete"));
    const ends = ENDS.flatMap((name) => server.calls(name));
    expect(ends.map(({ body }) => body.p_task_id)).toEqual([next.id]);
  });

  it("breaks off and writes nothing about the task when its row says error", async () => {
    const task = server.addTask(LONG);
    const worker = startWorker();
    await eventually(() => expect(task.status).toBe("In Progress"));
    server.state.workerStatus = "error";
    const { exitCode } = await worker.ended;
    expect(exitCode).toBe(0);
    expect(ENDS.flatMap((name) => server.calls(name))).toEqual([]);
  });

  it("exits with 77 when its token is refused, even in mid-task", async () => {
    const task = server.addTask(LONG);
    const worker = startWorker();
    await eventually(() => expect(task.status).toBe("In Progress"));
    server.state.faults.set("worker_heartbeat", 403);
    const { exitCode, output } = await worker.ended;
    expect(exitCode).toBe(77);
    expect(output).toContain("the worker's credential is not accepted");
    expect(server.calls("finish_and_claim")).toEqual([]);
  });

  it("keeps trying through an outage, logs it once, and completes", async () => {
    const task = server.addTask(SMALL);
    for (const name of ["finish_and_claim", "generate-upload-url"]) {
      server.state.faults.set(name, 503);
    }
    const worker = startWorker();
    await eventually(() => expect(server.calls("generate-upload-url").length).toBeGreaterThan(1));
    server.state.faults.delete("generate-upload-url");
    await eventually(() => expect(server.calls("finish_and_claim").length).toBeGreaterThan(1));
    server.state.faults.clear();
    await eventually(() => expect(task.status).toBe("Complete"));
    const { output } = await worker.stop();
    expect(output.match(/finish_and_claim is not available now[^\n]*the worker keeps trying/g)).toHaveLength(1);
    expect(output.match(/the outage is over/g)).toHaveLength(2);
  });

  it("resumes its own task after kill -9, and completes it with a file beside the one that is already stored", async () => {
    const task = server.addTask({ ...SMALL, seed: -1 });
    server.state.faults.set("finish_and_claim", "hang");
    const first = startWorker();
    await eventually(() => expect(server.calls("finish_and_claim")).toHaveLength(1));
    await first.stop("SIGKILL");
    const stored = server.state.objects.get(videoPath(task));
    expect(await readdir(directory)).not.toEqual([]);

    server.state.faults.clear();
    const second = startWorker();
    await eventually(() => expect(task.status).toBe("Complete"));
    expect(task.attempt).toBe(1);
    expect(server.state.objects.get(videoPath(task))).toBe(stored);
    const again = videoPath(task).replace(".mp4", "-again.mp4");
    expect(task.outputLocation).toContain(again);
    expect(task.result?.file_size_bytes).toBe(server.state.objects.get(again)?.length);
    await second.stop();
    expect(await readdir(directory)).toEqual([]);
  });

  it("takes the name that it is given, when storage holds another file under its own", async () => {
    const task = server.addTask(SMALL);
    server.state.objects.set(videoPath(task), Buffer.from("not the same"));
    startWorker();
    await eventually(() => expect(task.status).toBe("Complete"));
    expect(task.attempt).toBe(1);
    expect(task.outputLocation).toContain(videoPath(task).replace(".mp4", "-again.mp4"));
    expect(String(server.state.objects.get(videoPath(task)))).toBe("not the same");
  });

  it("ends by itself at its maximum lifetime", async () => {
    const { exitCode, output } = await startWorker({ WORKER_MAX_LIFETIME_SEC: "1" }).ended;
    expect(exitCode).toBe(0);
    expect(output).toContain("the maximum lifetime of 1 s is reached");
  });

  it("exits with 78 and names the variable when its settings are wrong", async () => {
    const { exitCode, output } = await startWorker({ WORKER_POLL_MS: "soon" }).ended;
    expect(exitCode).toBe(78);
    expect(output).toContain("expected a whole number of milliseconds from 50 to 60000");
    expect(server.state.calls).toEqual([]);
  });
});
