import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openLocalQueue } from "../../../src/gpu-worker/queue/open-local-queue.ts";
import { findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { probeVideo } from "../../../src/gpu-worker/video/probe-video.ts";
import { openLocalDatabase } from "../../../src/task-file/database.ts";
import { launchClient, runClient } from "../../kit/client.ts";
import { startReplicate } from "../../kit/gpu-worker/replicate.ts";
import { makeSample } from "../../kit/gpu-worker/samples.ts";

const OWN_TYPES = fileURLToPath(new URL("../../../docs/examples/own-task-types.mjs", import.meta.url));
const ffmpegPath = await findFfmpeg(null);
const SMALL = ["--frames", "5", "--fps", "16", "--width", "64", "--height", "48"];
const LONG = ["--frames", "1000", "--width", "1920", "--height", "1080"];

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("local mode", () => {
  let folder: string;
  const running: ReturnType<typeof launchClient>[] = [];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "gpu-pool-local-"));
  });
  afterEach(async () => {
    for (const child of running.splice(0)) {
      child.kill("SIGTERM");
      await child;
    }
    await rm(folder, { recursive: true, force: true });
  });

  const local = (...args: string[]) => runClient([...args, "--db-type", "sqlite"], { cwd: folder, env: inFolder() });
  // Commands within this process resolve paths from its own folder.
  const inFolder = () => ({ SQLITE_DB_PATH_ENV: join(folder, "tasks.db") });
  const start = (...flags: string[]) => startWith({}, ...flags);
  const startWith = (env: Readonly<Record<string, string>>, ...flags: string[]) => {
    const args = ["worker", "run", "--db-type", "sqlite", "--engine", "preview", ...flags];
    const child = launchClient(args, { cwd: folder, env: { FFMPEG_PATH: ffmpegPath, ...env } });
    running.push(child);
    return child;
  };
  const submit = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await local("submit", "--prompt", "a cat", ...args);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    return stdout.split("\n");
  };
  const task = async (id: string) =>
    JSON.parse((await local("task", "show", id, "--json")).stdout) as Readonly<Record<string, unknown>>;

  /** Who works on a task. */
  const lease = (id: string) => {
    const database = openLocalDatabase(join(folder, "tasks.db"));
    const row = database.get<{ pid: number; progress: number | null }>(
      "select pid, progress from tasks join workers on workers.id = worker_id where tasks.id = ?",
      id,
    );
    database.close();
    return row;
  };

  it("does tasks of a file without any server, and an idle worker sees a new one at once", async () => {
    const [first] = await submit(...SMALL);
    // Within the test's time only a worker that sees the change can find the second task.
    const child = start("--poll-interval", "60");
    await expect.poll(async () => (await task(first!))["status"]).toBe("Complete");
    const { exitCode, stdout } = await local("submit", "--prompt", "a dog", ...SMALL, "--wait");
    expect(exitCode).toBe(0);
    expect(await probeVideo(stdout, ffmpegPath)).toMatchObject({ frames: 5, fps: 16, width: 64, height: 48 });
    const done = await task(first!);
    const location = `files/task_${first}_a1.mp4`;
    expect(done).toMatchObject({ output_location: location, result_data: { engine: "preview", video_url: location } });
    expect((await readdir(join(folder, "public", "files"))).length).toBe(4);
    child.kill("SIGTERM");
    expect((await child).exitCode).toBe(0);
    expect(await readdir(join(folder, "outputs"))).toEqual([]);
  });

  it("gives the task of a killed worker to the next one, which does it anew", async () => {
    const [id] = await submit(...LONG, "--priority", "1");
    const [next] = await submit(...SMALL);
    void start("--id", "first");
    await expect.poll(() => lease(id!)?.progress).toBeGreaterThan(0);
    process.kill(lease(id!)!.pid, "SIGKILL");
    await running[0];
    const database = openLocalDatabase(join(folder, "tasks.db"));
    database.run(
      "update tasks set params = json_set(params, '$.frames', 5, '$.width', 64, '$.height', 48) where id = ?",
      id!,
    );
    database.close();
    void start("--id", "second");
    await expect.poll(async () => (await task(id!))["status"]).toBe("Complete");
    expect(await task(id!)).toMatchObject({
      attempts: 2,
      worker_id: "second",
      output_location: `files/task_${id}_a2.mp4`,
      attempt_rows: [
        { cause: "worker_died", worker_id: "first" },
        { cause: "completed", worker_id: "second" },
      ],
    });
    await expect.poll(async () => (await task(next!))["status"]).toBe("Complete");
  });

  it.each([
    ["SIGHUP", /^released$/],
    ["SIGKILL", /^(released|worker_died)$/],
  ] as const)("lets the task go when the command ends by %s", async (signal, cause) => {
    const [id] = await submit(...LONG);
    const child = start();
    await expect.poll(() => lease(id!)?.progress).toBeGreaterThan(0);
    const { pid } = lease(id!)!;
    child.kill(signal);
    await child;
    await expect.poll(() => isThere(pid)).toBe(false);
    // Any worker's claim finds what a killed one could not give back.
    const other = openLocalQueue(join(folder, "tasks.db"), "other", [], 300);
    await other.queue.claim();
    other.close();
    const rows = [{ attempt: 1, cause: expect.stringMatching(cause) }];
    expect(await task(id!)).toMatchObject({ status: "Queued", attempt_rows: rows });
  });

  it("pays for a prediction once, although the worker is killed while it waits for it", async () => {
    await makeSample(folder, "room.png");
    const replicate = await startReplicate(await readFile(join(folder, "room.png")));
    try {
      const env = { REPLICATE_API_TOKEN: replicate.token, REPLICATE_API_URL: `${replicate.url}/v1` };
      replicate.onLook = (prediction) => void (prediction.status = "processing");
      const { stdout: id } = await local(
        "submit",
        "--type",
        "magic_edit",
        "--prompt",
        "night",
        "--param",
        "image=room.png",
      );
      void startWith(env);
      await expect.poll(() => replicate.calls.get("GET predictions")).toBeGreaterThan(0);
      process.kill(lease(id)!.pid, "SIGKILL");
      await running[0];
      replicate.onLook = (prediction) => replicate.succeed(prediction);
      void startWith(env);
      await expect.poll(async () => (await task(id))["status"]).toBe("Complete");
      expect(replicate.predictions).toHaveLength(1);
      expect(await task(id)).toMatchObject({
        output_location: `files/task_${id}_a2.png`,
        result_data: { engine: "replicate", prediction_id: "p1" },
        attempt_rows: [{ cause: "worker_died" }, { cause: "completed" }],
      });
    } finally {
      await replicate.close();
    }
  });

  it("does own types, under their aliases too, and of all types only those that WORKER_TASK_TYPES names", async () => {
    await makeSample(folder, "film.mp4", { frames: 6, fps: 8 });
    const modules = { TASK_TYPE_MODULES: OWN_TYPES };
    const rotate = ["submit", "--db-type", "sqlite", "--type", "rotate_video", "--param", "video=film.mp4"];
    const { stdout: id, stderr } = await runClient(rotate, { cwd: folder, env: { ...inFolder(), ...modules } });
    expect(stderr).toBe("");
    expect(await task(id)).toMatchObject({ task_type: "turn_video" });
    const database = openLocalDatabase(join(folder, "tasks.db"));
    database.run(`insert into tasks (id, task_type, params) values ('0a', 'rotate_video', '{"video": "film.mp4"}')`);
    database.close();
    const [other] = await submit(...SMALL, "--priority", "1");
    void startWith({ ...modules, WORKER_TASK_TYPES: "rotate_video" });
    for (const each of [id, "0a"]) {
      await expect.poll(async () => (await task(each))["status"]).toBe("Complete");
      const { output_location: location } = await task(each);
      const path = join(folder, "public", String(location));
      expect(await probeVideo(path, ffmpegPath)).toMatchObject({ frames: 6, width: 48, height: 64 });
    }
    expect(await task(other!)).toMatchObject({ status: "Queued", attempts: 0 });
  });

  it("cancels tasks and retries failed ones, where DB_TYPE is set without --db-type", async () => {
    const inFile = (...args: string[]) => runClient(args, { cwd: folder, env: { ...inFolder(), DB_TYPE: "sqlite" } });
    const bad = (await inFile("submit", "--type", "extract_frame", "--param", "video_url=none.mp4")).stdout;
    const [later] = await submit(...SMALL, "--depends-on", bad);
    void startWith({ DB_TYPE: "sqlite" }, "--save-logging", "here/worker.log");
    await expect.poll(async () => (await task(bad))["status"]).toBe("Failed");
    expect(await task(later!)).toMatchObject({ status: "Failed", failed_by: bad });
    expect((await inFile("task", "cancel", bad)).stderr).toContain(`task ${bad} has ended already`);
    expect((await inFile("task", "retry", later!)).stderr).toContain(`gpu-pool task retry ${bad}`);
    await makeSample(folder, "none.mp4", { frames: 6, fps: 8 });
    const retried = await inFile("task", "retry", bad.slice(0, 8), "--reason", "the file is there");
    expect(retried.stdout).toBe(`task ${bad} is Queued again, and 1 task that failed with it`);
    await expect.poll(async () => (await task(later!))["status"]).toBe("Complete");
    expect(await task(bad)).toMatchObject({ status: "Complete", attempts: 1 });
    const [doomed] = await submit("--type", "make_tea");
    expect((await inFile("task", "cancel", doomed!)).stdout).toBe(`task ${doomed} cancelled`);
    expect((await inFile("task", "cancel", doomed!)).stdout).toBe(`task ${doomed} was cancelled already`);
    const [log] = await readdir(join(folder, "here"));
    expect(await readFile(join(folder, "here", log!), "utf8")).toContain(`"task_id":"${bad}"`);
  });

  it("fails bad parameters at once by their name, and leaves alone the types that the worker cannot do", async () => {
    const [strange] = (await local("submit", "--type", "make_tea", "--param", "sugar=1")).stdout.split("\n");
    const database = openLocalDatabase(join(folder, "tasks.db"));
    database.run("insert into tasks (id, task_type, params) values ('bad', 'video_generation', '{\"prompt\": 5}')");
    database.run("insert into tasks (id, task_type, params) values ('broken', 'generate_video', 'no json')");
    database.close();
    void start();
    await expect
      .poll(async () => JSON.parse((await local("tasks", "--json", "--status", "failed")).stdout).length)
      .toBe(2);
    const failed = JSON.parse((await local("tasks", "--json", "--status", "failed")).stdout) as {
      error_message: string;
    }[];
    expect(failed.map(({ error_message: error }) => error)).toEqual([
      expect.stringMatching(/^params: expected a JSON object, got "no json"/),
      expect.stringMatching(/^params\.prompt: expected a text/),
    ]);
    expect(await task(strange!)).toMatchObject({ status: "Queued", attempts: 0 });
  });

  it("refuses what does not fit, with a reason, and changes nothing", async () => {
    const runs: [string[], number, RegExp][] = [
      [["tasks", "--db-type", "sqlite"], 3, /there is no file of tasks .*tasks\.db/],
      [["tasks", "--db-file", "x.db"], 2, /--db-file names a file of tasks, which only --db-type sqlite uses/],
      [["submit", "--db-type", "sqlite", "--prompt", "x", "--pool", "main"], 2, /a file of tasks has no pools/],
      [["submit", "--db-type", "sqlite", "--prompt", "x", "--frames", "1", "--width", "17"], 2, /params\.width/],
      [["worker", "run", "--db-type", "sqlite"], 2, /no engine is named for this worker/],
      [["worker", "run", "--db-type", "sqlite", "--wgp-profile", "4"], 2, /--wgp-profile: it is a setting of Wan2GP/],
      [["worker", "run", "--db-type", "sqlite", "--no-mask-active-frames"], 2, /--no-mask-active-frames: say it in/],
      [["worker", "run", "--db-type", "sqlite", "--queue-workers", "2"], 2, /a worker does one task at a time/],
      [["worker", "run", "--db-type", "sqlite", "--supabase-access-token", "x"], 2, /works without a server/],
      [["worker", "run", "--delete-db"], 2, /--delete-db goes with --db-type sqlite/],
    ];
    for (const [args, exitCode, message] of runs) {
      const ran = await runClient(args, { cwd: folder, env: inFolder() });
      expect({ args, exitCode: ran.exitCode, stderr: ran.stderr }).toEqual({
        args,
        exitCode,
        stderr: expect.stringMatching(message),
      });
    }
    expect(existsSync(join(folder, "tasks.db"))).toBe(false);
  });
});
