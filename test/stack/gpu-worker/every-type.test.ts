import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { whyImpossible } from "../../../src/client/commands/tasks/generate/test-params.ts";
import { createFfmpeg, findFfmpeg } from "../../../src/gpu-worker/video/ffmpeg.ts";
import { measureVideo } from "../../../src/gpu-worker/video/measure.ts";
import { openLocalDatabase } from "../../../src/task-file/database.ts";
import { TASK_TYPES } from "../../../src/task-types/task-types.ts";
import { runClient } from "../../kit/client.ts";
import { type ReplicateStandIn, startReplicate } from "../../kit/gpu-worker/replicate.ts";
import { makeSample } from "../../kit/gpu-worker/samples.ts";
import { PATIENCE_MS } from "../../kit/patience.ts";
import { openQueueApi } from "../../kit/queue-api.ts";

interface Row {
  readonly id: string;
  readonly task_type: string;
  readonly status: string;
  readonly error_message: string | null;
  readonly output_location: string;
  readonly result_data: Readonly<Record<string, unknown>>;
}

/** A queue that `gpu-pool tasks generate` fills and a GPU worker's process works off. */
interface Mode {
  /** Of the command, and its flags. */
  readonly clientEnv: Readonly<Record<string, string>>;
  readonly flags: readonly string[];
  readonly workerEnv: Readonly<Record<string, string>>;
  rows(): Promise<Row[]>;
  /** Where a result is. */
  pathOf(row: Row): Promise<string>;
  close(): Promise<void>;
}

async function onTheStack(folder: string): Promise<Mode> {
  const api = await openQueueApi();
  const pool = await api.queue.newPool();
  const worker = await api.queue.newWorker(pool);
  const token = randomUUID();
  await api.giveToken(worker, token);
  return {
    clientEnv: {
      SUPABASE_URL: api.url,
      SUPABASE_ANON_KEY: api.keys.anonKey,
      SUPABASE_SERVICE_ROLE_KEY: api.keys.serviceRoleKey,
      GPU_POOL: pool,
    },
    flags: [],
    workerEnv: {
      WORKER_ID: worker,
      WORKER_TOKEN: token,
      SUPABASE_URL: api.url,
      SUPABASE_ANON_KEY: api.keys.anonKey,
      WORKER_POLL_MS: "50",
    },
    rows: () => api.queue.rows<Row>("select * from tasks where pool = $1", [pool]),
    async pathOf({ id, output_location: url }) {
      const answer = await fetch(url);
      expect({ url, status: answer.status }).toEqual({ url, status: 200 });
      const path = join(folder, id);
      await writeFile(path, Buffer.from(await answer.arrayBuffer()));
      return path;
    },
    close: () => api.close(),
  };
}

async function inAFile(folder: string): Promise<Mode> {
  const file = join(folder, "tasks.db");
  return {
    clientEnv: { SQLITE_DB_PATH_ENV: file },
    flags: ["--db-type", "sqlite"],
    workerEnv: {
      WORKER_ID: "local-every",
      DB_TYPE: "sqlite",
      SQLITE_DB_PATH_ENV: file,
      WORKER_INPUT_DIRS: [join(folder, "public"), folder].join(delimiter),
    },
    async rows() {
      const database = openLocalDatabase(file);
      const rows = database.all<Row & { readonly result_data: string | null }>("select * from tasks");
      database.close();
      return rows.map((row) => ({ ...row, result_data: JSON.parse(row.result_data ?? "{}") as Row["result_data"] }));
    },
    pathOf: ({ output_location: location }) => Promise.resolve(join(folder, "public", location)),
    close: () => Promise.resolve(),
  };
}

/** Frames of the results of each type, where they are not those of one video or picture as it was asked for. */
const FRAMES: Readonly<Record<string, readonly number[]>> = {
  travel_orchestrator: [34],
  travel_segment: [17, 21],
  travel_stitch: [34],
  different_perspective_orchestrator: [1],
  wgp: [1, 17],
  generate_openpose: [1],
  generate_depth: [1, 1, 1],
  extract_frame: [1, 1],
  dp_final_gen: [1],
  join_clips_orchestrator: [59],
  edit_video_orchestrator: [25],
  join_clips_segment: [25, 59],
  inpaint_frames: [25],
  upscaling: [25],
  rife_interpolate_images: [9],
  create_visualization: [25],
};
const SIZES: Readonly<Record<string, string>> = {
  upscaling: "256x192",
  create_visualization: "any",
  magic_edit: "64x48",
};

const asked = TASK_TYPES.filter(({ name }) => whyImpossible(name) === null).map(({ name }) => name);

describe.each([
  ["on the embedded stack", onTheStack],
  ["in local mode", inAFile],
])("every task type of the table %s", (_name, open) => {
  let folder: string;
  let mode: Mode;
  let replicate: ReplicateStandIn;
  let worker: ReturnType<typeof startWorker> | undefined;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "every-type-"));
    replicate = await startReplicate(await readFile(await makeSample(folder, "made.png")));
    mode = await open(folder);
  });
  afterAll(async () => {
    worker?.kill("SIGTERM");
    await worker;
    await mode?.close();
    await replicate?.close();
    await rm(folder, { recursive: true, force: true });
  });

  function startWorker() {
    return execa(process.execPath, [join(inject("shared").dist, "src", "gpu-worker", "main.js")], {
      extendEnv: false,
      reject: false,
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      env: {
        PATH: process.env["PATH"],
        WORKER_ENGINE: "preview",
        WORKER_OUTPUT_DIR: join(folder, "outputs"),
        REPLICATE_API_TOKEN: replicate.token,
        REPLICATE_API_URL: `${replicate.url}/v1`,
        LOG_LEVEL: process.env["TEST_LOG_LEVEL"] ?? "silent",
        ...mode.workerEnv,
      },
    });
  }

  it("is generated, claimed, done and completed, and each frame of its file can be decoded", async () => {
    const ran = await runClient(["tasks", "generate", ...asked, ...mode.flags], { cwd: folder, env: mode.clientEnv });
    expect({ exitCode: ran.exitCode, stderr: ran.stderr }).toMatchObject({ exitCode: 0 });
    worker = startWorker();
    const unfinished = async () =>
      (await mode.rows())
        .filter(({ status }) => ["Queued", "In Progress"].includes(status))
        .map(({ task_type: type }) => type);
    await expect.poll(unfinished, { interval: 200, timeout: 3 * PATIENCE_MS }).toEqual([]);
    const rows = await mode.rows();
    expect(rows.filter(({ status }) => status !== "Complete")).toEqual([]);
    const ffmpeg = createFfmpeg(await findFfmpeg(null), new AbortController().signal);
    const frames: Record<string, number[]> = {};
    for (const row of rows) {
      const { width, height, frames: decoded } = await measureVideo(ffmpeg, await mode.pathOf(row));
      (frames[row.task_type] ??= []).push(decoded);
      expect({ ...row.result_data, taskType: row.task_type }).toMatchObject({ width, height, taskType: row.task_type });
      const size = SIZES[row.task_type] ?? "128x96";
      expect({ taskType: row.task_type, size: size === "any" ? size : `${width}x${height}` }).toEqual({
        taskType: row.task_type,
        size,
      });
    }
    const expected = TASK_TYPES.map(({ name, parameters }) => {
      const isVideo = parameters.some((each) => each.name === "video_length" && each.fixed === undefined);
      return [name, FRAMES[name] ?? [isVideo ? 17 : 1]];
    });
    for (const each of Object.values(frames)) {
      each.sort((a, b) => a - b);
    }
    expect(frames).toEqual(Object.fromEntries(expected));
  });
});
