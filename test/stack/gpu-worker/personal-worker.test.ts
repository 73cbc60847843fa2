import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi, type Person } from "../../kit/api.ts";
import { launchClient } from "../../kit/client.ts";

const SMALL = { prompt: "a cat", video_length: 5, fps: 16, resolution: "64x48", seed: 7 };

describe("gpu-pool worker run with a user's token", () => {
  let api: PeopleApi;
  let folder: string;
  let ann: Person;
  let bob: Person;
  const running: ReturnType<typeof launchClient>[] = [];
  beforeAll(async () => {
    api = await openPeopleApi();
    folder = await mkdtemp(join(tmpdir(), "gpu-pool-personal-"));
    [ann, bob] = [await api.newPerson(), await api.newPerson()];
  });
  afterEach(async () => {
    for (const child of running.splice(0)) {
      child.kill("SIGTERM");
      await child;
    }
  });
  afterAll(async () => {
    await api?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const launch = (token: string, ...flags: string[]) => {
    const args = ["worker", "run", "--engine", "preview", "--poll-interval", "0.2", "--main-output-dir", folder];
    const address = ["--supabase-url", api.url, "--supabase-anon-key", api.keys.anonKey];
    const child = launchClient([...args, ...address, "--supabase-access-token", token, ...flags], {
      cwd: folder,
      env: {},
    });
    running.push(child);
    return child;
  };
  const add = async (user: Person, params: object = SMALL) =>
    (
      await api.queue.one<{ id: string }>(
        "insert into tasks (task_type, params, project_id) values ('generate_video', $1, $2) returning id",
        [params, user.project],
      )
    ).id;
  const status = async (id: string) => (await api.queue.task(id)).status;

  it("does that user's tasks, through the edge functions, and no other's", async () => {
    const theirs = await add(bob);
    const hers = await add(ann);
    const child = launch(ann.token, "--id", "laptop");
    await expect.poll(() => status(hers)).toBe("Complete");
    const bad = await add(ann, { ...SMALL, video_length: "much" });
    await expect.poll(() => status(bad)).toBe("Failed");
    expect(await api.queue.task(hers)).toMatchObject({
      worker_id: `personal-${ann.userId}-laptop`,
      result_data: { engine: "preview", frames: 5, width: 64, attempt: 1 },
    });
    expect((await api.queue.task(hers)).output_location).toContain(`/videos/${hers}/task_${hers}_a1.mp4`);
    expect(await api.queue.task(bad)).toMatchObject({
      attempts: 1,
      error_message: expect.stringContaining("video_length"),
    });
    expect(await api.queue.task(theirs)).toMatchObject({ status: "Queued", attempts: 0 });
    child.kill("SIGTERM");
    const { exitCode, stderr } = await child;
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining("stopped on its machine"),
    });
    expect(stderr).not.toContain(ann.token);
  });

  it("works under a user's JWT too, reports progress, and gives its task back when it is stopped", async () => {
    const long = await add(bob, { ...SMALL, video_length: 1000, resolution: "1920x1080" });
    await api.queue.rows("update tasks set priority = 5 where id = $1", [long]);
    const child = launch(bob.jwt);
    const progress = async () =>
      (await api.queue.one<{ progress: number | null }>("select progress from tasks where id = $1", [long])).progress;
    await expect.poll(progress).toBeGreaterThan(0);
    child.kill("SIGTERM");
    expect((await child).exitCode).toBe(0);
    expect(await api.queue.task(long)).toMatchObject({ status: "Queued", attempts: 0, worker_id: null });
  });

  it("ends with an error when the token is not accepted", async () => {
    const { exitCode, stderr } = await launch("gpp_unknown");
    expect(exitCode).toBe(1);
    expect(stderr).toContain("claim-next-task was refused, the worker's credential is not accepted (HTTP 401)");
    expect(stderr).not.toContain("gpp_unknown");
  });
});
