import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findFfmpeg } from "../../src/gpu-worker/video/ffmpeg.ts";
import { probeVideo } from "../../src/gpu-worker/video/probe-video.ts";
import { openLocalDatabase } from "../../src/task-file/database.ts";
import { insertTasks } from "../../src/task-file/insert.ts";
import type { LocalDatabase } from "../../src/task-file/local-database.ts";
import type { LocalAttempt, LocalTask } from "../../src/task-file/rows.ts";
import { launchClient, runClient } from "../kit/client.ts";
import { smallTravel, travelFrames } from "../kit/gpu-worker/graph-bed.ts";
import { makeSample } from "../kit/gpu-worker/samples.ts";

const PATIENCE = { timeout: 120_000, interval: 10 };
const SEGMENTS = 3;

type Held = LocalTask & { readonly pid: number };

let folder: string;
let database: LocalDatabase;
const names = ["one", "two"] as const;
const workers = new Map<string, ReturnType<typeof launchClient>>();
const ffmpegPath = await findFfmpeg(null);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gpu-pool-local-kills-"));
  database = openLocalDatabase(join(folder, "tasks.db"));
});
afterAll(async () => {
  for (const worker of workers.values()) {
    worker.kill("SIGTERM");
    await worker;
  }
  database?.close();
  await rm(folder, { recursive: true, force: true });
});

function start(name: string): void {
  const args = ["worker", "run", "--db-type", "sqlite", "--engine", "preview", "--id", name, "--poll-interval", "0.5"];
  workers.set(name, launchClient(args, { cwd: folder, env: { FFMPEG_PATH: ffmpegPath } }));
}

async function submit(...args: string[]): Promise<string[]> {
  const env = { SQLITE_DB_PATH_ENV: join(folder, "tasks.db") };
  const { exitCode, stdout, stderr } = await runClient(["submit", "--db-type", "sqlite", ...args], {
    cwd: folder,
    env,
  });
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  return stdout.split("\n");
}

/** Of a task that no worker has died with: a second death would be poison, as it should. */
function heldTask(condition: string): Held | undefined {
  return database.get<Held>(
    `select tasks.*, pid from tasks join workers on workers.id = worker_id
     where lease_token is not null and ${condition}
       and not exists (select 1 from ended_attempts where task_id = tasks.id and cause = 'worker_died')`,
  );
}

async function untilHeld(condition: string): Promise<Held> {
  let held: Held | undefined;
  await expect.poll(() => (held = heldTask(condition)), PATIENCE).toBeDefined();
  return held!;
}

/** Kills the worker of a task, and starts it again under its name once it is gone. */
async function kill({ pid, worker_id: name }: Held): Promise<void> {
  process.kill(pid, "SIGKILL");
  await workers.get(name ?? "");
  start(name ?? "");
}

/** Makes a transaction that does this take a second or more, so that a kill finds it under way. */
function slowDown(name: string, change: string): void {
  database.run(
    `create trigger ${name} before ${change} begin
       select count(*) from numbers a, numbers b where a.i + b.i < 0;
     end`,
  );
}

it("does each task once, with the same results, whatever phase its worker is killed in", async () => {
  for (const n of [1, 2, 3, 4]) {
    await makeSample(folder, `${n}.png`, { colour: ["red", "green", "blue", "white"][n - 1]! });
  }
  database.run("create table numbers (i integer)");
  database.write(() => Array.from({ length: 4_000 }, (_, i) => database.run("insert into numbers values (?)", i)));
  const long = ["--frames", "240", "--width", "512", "--height", "512"];
  const [begun] = await submit("--prompt", "a", ...long, "--priority", "9");
  names.forEach(start);
  await kill(await untilHeld(`tasks.id = '${begun}' and progress is null`));
  const [working] = await submit("--prompt", "b", ...long, "--priority", "9");
  await kill(await untilHeld(`tasks.id = '${working}' and progress > 0`));

  const [stored] = await submit("--prompt", "c", ...long, "--priority", "9", "--depends-on", working!);
  slowDown("slow_end", `update of status on tasks when new.id = '${stored}' and new.status = 'Complete'`);
  const file = join(folder, "public", "files", `task_${stored}_a1.mp4`);
  await expect.poll(() => existsSync(file), PATIENCE).toBe(true);
  await kill(await untilHeld(`tasks.id = '${stored}'`));

  const travel = randomUUID();
  slowDown("slow_delegation", `insert on tasks when new.parent_id = '${travel}'`);
  const pictures = [1, 2, 3, 4].map((n) => `${n}.png`);
  const task = { task_type: "travel_orchestrator", params: smallTravel(pictures, SEGMENTS) };
  insertTasks(database, [{ id: travel, ...task }], Date.now());
  await kill(await untilHeld(`tasks.id = '${travel}'`));
  await kill(await untilHeld("task_type = 'travel_segment'"));
  await kill(await untilHeld("task_type = 'travel_stitch'"));
  const rest = await submit("--prompt", "d", "--frames", "5", "--width", "64", "--height", "48", "--count", "20");

  const open = () => database.all("select 1 from tasks where status in ('Queued', 'In Progress')").length;
  await expect.poll(open, PATIENCE).toBe(0);
  const tasks = database.all<LocalTask>("select * from tasks");
  expect(tasks.filter(({ status }) => status !== "Complete")).toEqual([]);
  // Three segments and the stitch; nothing was written twice.
  expect(tasks).toHaveLength(3 + 1 + SEGMENTS + 1 + rest.length);
  for (const { id } of tasks) {
    const attempts = database.all<LocalAttempt>("select * from ended_attempts where task_id = ? order by attempt", id);
    expect(attempts.filter(({ cause }) => cause === "completed")).toHaveLength(id === travel ? 0 : 1);
    for (const [place, { started_at_ms: startedMs }] of attempts.entries()) {
      expect(startedMs).toBeGreaterThanOrEqual(attempts[place - 1]?.ended_at_ms ?? 0);
    }
  }
  for (const id of [begun, working, stored]) {
    const { output_location: location } = tasks.find((each) => each.id === id)!;
    expect(await probeVideo(join(folder, "public", location!), ffmpegPath)).toMatchObject({ frames: 240, width: 512 });
  }
  const { output_location: whole } = tasks.find(({ id }) => id === travel)!;
  expect(await probeVideo(join(folder, "public", whole!), ffmpegPath)).toMatchObject({
    frames: travelFrames(SEGMENTS),
  });
  const results = new Set(tasks.map(({ output_location: location }) => location));
  expect(results.size).toBe(tasks.length - 1);
  expect(await readdir(join(folder, "public", "files"))).toEqual(
    expect.arrayContaining([...results].map((location) => location!.replace("files/", ""))),
  );
}, 600_000);
