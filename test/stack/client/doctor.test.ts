import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { claimTaskQueue } from "../../../src/worker/own-deployment.ts";
import { createLightPodLauncher } from "../../../src/simulator/light-pod.ts";
import { runClient } from "../../kit/client.ts";
import { type Answer, standBefore } from "../../kit/stand-before.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

interface Finding {
  readonly check: string;
  readonly state: "ok" | "warning" | "failed" | "skipped";
  readonly detail: string;
  readonly remedy: string | null;
}

let stack: TestStack;
const servers: Server[] = [];

beforeAll(async () => {
  stack = await startTestStack({ launch: createLightPodLauncher(), env: { MAX_HOURLY_SPEND_USD: "5" } });
});

afterAll(async () => {
  await stack?.close();
});

afterEach(() => {
  stack.simulator.clearFaults();
  stack.simulator.resetMarket();
  for (const server of servers.splice(0)) {
    server.close();
  }
});

async function doctor(env: Readonly<Record<string, string>> = {}) {
  const { exitCode, stdout, stderr } = await runClient(["doctor", "--json"], {
    cwd: tmpdir(),
    env: { ...stack.env, ...env },
  });
  expect(stderr).toBe("");
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  const failed = findings.filter(({ state }) => state === "failed");
  return { exitCode, findings, failed, of: (check: string) => findings.find((finding) => finding.check === check) };
}

/** The project, but for the requests that `answer` answers. */
async function projectWith(answer: Answer): Promise<string> {
  const server = await standBefore(stack.api, answer);
  servers.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("gpu-pool doctor", () => {
  it("finds nothing wrong with a stack that works, changes nothing, and rents nothing", async () => {
    const before = await stack.rows("select count(*) from system_logs");
    const { exitCode, failed, findings, of } = await doctor();
    expect(failed).toEqual([]);
    expect(exitCode).toBe(0);
    // The only thing to be done: nobody serves the task queue.
    const warned = findings.filter(({ state }) => state === "warning").map(({ check }) => check);
    expect(warned).toEqual(["task queue", "worker processes"]);
    expect(of("task queue")?.remedy).toBe("Start one: gpu-pool run");
    expect(of("functions")?.detail).toMatch(/^all \d\d are deployed$/);
    expect(of("places")?.detail).toMatch(
      /^NVIDIA GeForce RTX 4090, SECURE, any data center: \$0\.69 an hour, stock HIGH/,
    );
    expect(await stack.rows("select count(*) from system_logs")).toEqual(before);
    expect(
      stack.simulator
        .requests()
        .filter(({ method, path }) => !["GET", "HEAD"].includes(method) && !path.endsWith("graphql")),
    ).toEqual([]);
  });

  it("shows each finding to people with what to do", async () => {
    const { stdout, exitCode } = await runClient(["doctor"], {
      cwd: tmpdir(),
      env: { ...stack.env, RUNPOD_GPU_TYPE: "RTX 4090" },
    });
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      /^failed +gpu types +the catalog has no RTX 4090\n +→ Set RUNPOD_GPU_TYPE to .*NVIDIA GeForce RTX 4090/m,
    );
    expect(stdout).toMatch(/^\d+ failed, \d+ warnings?, \d+ ok$/m);
  });

  it("pool start refuses a GPU type that the catalog does not have", async () => {
    const env = { ...stack.env, RUNPOD_GPU_TYPE: "RTX 4090" };
    const refused = await runClient(["pool", "start"], { cwd: tmpdir(), env });
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("has no GPU type RTX 4090") });
  });

  it.each([
    [
      "a variable is missing",
      { SUPABASE_ANON_KEY: "" },
      "environment",
      /SUPABASE_ANON_KEY is not set/,
      /\.env\.example/,
    ],
    [
      "the URL has a path",
      { SUPABASE_URL: "http://127.0.0.1:1/rest/v1" },
      "environment",
      /without a path such as \/rest\/v1/,
      /^Set it/,
    ],
    [
      "the project does not answer",
      { SUPABASE_URL: "http://127.0.0.1:1" },
      "database",
      /no usable answer/,
      /SUPABASE_URL/,
    ],
    [
      "the service key is refused",
      { SUPABASE_SERVICE_ROLE_KEY: "sb_secret_wrong" },
      "service key",
      /refuses SUPABASE_SERVICE_ROLE_KEY/,
      /Copy it again/,
    ],
    ["the bucket is missing", { SUPABASE_VIDEO_BUCKET: "films" }, "bucket", /no bucket films/, /SUPABASE_VIDEO_BUCKET/],
    [
      "Temporal does not answer",
      { TEMPORAL_ADDRESS: "127.0.0.1:1" },
      "temporal",
      /no answer from Temporal/,
      /TEMPORAL_ADDRESS/,
    ],
    [
      "the namespace is missing",
      { TEMPORAL_NAMESPACE: "nowhere" },
      "temporal",
      /no namespace nowhere/,
      /temporal setup/,
    ],
    [
      "the provider's key is refused",
      { RUNPOD_API_KEY: "rpa_wrong" },
      "provider key",
      /RUNPOD_API_KEY is refused/,
      /Make a new key/,
    ],
    [
      "the volume is missing",
      { RUNPOD_NETWORK_VOLUME_ID: "vol-none" },
      "volume",
      /volume vol-none .RUNPOD_NETWORK_VOLUME_ID/,
      /volume list/,
    ],
    [
      "the volume's name is unknown",
      { RUNPOD_STORAGE_NAME: "weights" },
      "volume",
      /named weights .RUNPOD_STORAGE_NAME/,
      /volume prepare/,
    ],
    [
      "the GPU is too dear",
      { RUNPOD_MAX_PRICE_USD_PER_HOUR: "0.1" },
      "places",
      /above RUNPOD_MAX_PRICE_USD_PER_HOUR 0.1/,
      /RUNPOD_MAX_PRICE/,
    ],
    ["one pod breaks the budget", { MAX_HOURLY_SPEND_USD: "0.5" }, "budget", /MAX_HOURLY_SPEND_USD is 0.5/, /cheaper/],
    ["the GPU is small", { RUNPOD_MIN_GPU_MEMORY_GB: "100" }, "places", /100 wanted/, /RUNPOD_GPU_TYPE/],
    [
      "a profile without a program",
      { WORKER_PROFILE: "custom" },
      "launch",
      /WORKER_START_COMMAND/,
      /WORKER_START_COMMAND/,
    ],
  ])("says what to do when %s", async (_fault, env: Record<string, string>, check, detail, remedy) => {
    const { exitCode, failed } = await doctor(env);
    expect(failed).toContainEqual({
      check,
      state: "failed",
      detail: expect.stringMatching(detail),
      remedy: expect.stringMatching(remedy),
    });
    expect(exitCode).toBe(1);
  });

  it("tells a public address that does not answer, and looks at none that is not set", async () => {
    const dead = "http://127.0.0.1:1";
    const { of, exitCode } = await doctor({ SUPABASE_PUBLIC_URL: dead });
    expect(of("public address")).toMatchObject({
      state: "warning",
      detail: expect.stringContaining(`SUPABASE_PUBLIC_URL=${dead} gives this machine no usable answer`),
    });
    expect(exitCode).toBe(0);
    const outside = await projectWith(() => null);
    expect((await doctor({ SUPABASE_PUBLIC_URL: outside })).of("public address")).toMatchObject({
      state: "ok",
      detail: outside,
    });
    expect((await doctor()).of("public address")).toBeUndefined();
  });

  it("tells keys that are mixed up", async () => {
    const { anonKey, serviceRoleKey } = stack.keys;
    const { of } = await doctor({ SUPABASE_ANON_KEY: serviceRoleKey, SUPABASE_SERVICE_ROLE_KEY: anonKey });
    expect(of("public key")).toMatchObject({
      state: "failed",
      detail: expect.stringContaining("holds the service key"),
    });
    expect(of("service key")).toMatchObject({
      state: "failed",
      detail: expect.stringContaining("holds the public key"),
    });
    expect(of("schema")?.state).toBe("skipped");
  });

  it("tells a schema that is behind, and one that is ahead", async () => {
    const [last] = await stack.rows<{ id: number; name: string }>(
      "delete from gpu_pool_migrations where id = (select max(id) from gpu_pool_migrations) returning id, name",
    );
    expect((await doctor()).of("schema")).toMatchObject({ state: "failed", remedy: "gpu-pool db migrate" });
    const insert = "insert into gpu_pool_migrations (id, name, run_on) values ($1, $2, now())";
    await stack.rows(insert, [last?.id, last?.name]);
    await stack.rows(insert, [(last?.id ?? 0) + 1, "20990101000000_new"]);
    expect((await doctor()).of("schema")).toMatchObject({ state: "warning", remedy: "Update this program." });
    await stack.rows("delete from gpu_pool_migrations where name = '20990101000000_new'");
  });

  it.each([
    [
      "are not deployed",
      (path: string) => (path.endsWith("/v1/task-counts") || path.includes("/tasks") ? 404 : null),
      /not deployed: old-worker, old_worker, task-counts, tasks$/,
    ],
    [
      "want a JWT",
      (path: string) => (path.includes("/claim-next-task") ? 401 : null),
      /claim-next-task: the platform wants a JWT/,
    ],
    ["fail", (path: string) => (path.includes("/complete_task") ? 500 : null), /complete_task HTTP 500/],
  ])("tells functions that %s", async (_fault, answer, detail) => {
    const url = await projectWith((path) => (path.startsWith("/functions/") ? answer(path) : null));
    expect((await doctor({ SUPABASE_URL: url })).of("functions")).toMatchObject({
      state: "failed",
      detail: expect.stringMatching(detail),
    });
  });

  it("tells functions that let everybody in, or nobody", async () => {
    const url = await projectWith((path, { authorization }) => {
      const isCall = path === "/functions/v1/task-counts" && authorization !== "Bearer gpw_check";
      return isCall ? (String(authorization).includes("gpw_nobody") ? 200 : 401) : null;
    });
    const finding = (await doctor({ SUPABASE_URL: url })).of("function callers");
    expect(finding).toMatchObject({ state: "failed" });
    expect(finding?.detail).toMatch(/an unknown token gets HTTP 200 .*; the service key gets HTTP 401/);
  });

  it("tells a bucket that is private or small", async () => {
    const set = async (columns: string) =>
      await stack.rows(`update storage.buckets set ${columns} where id = 'videos'`);
    await set("public = false");
    expect((await doctor()).of("bucket")).toMatchObject({
      state: "failed",
      detail: expect.stringContaining("private"),
    });
    await set("public = true, file_size_limit = 1048576");
    expect((await doctor()).of("bucket")).toMatchObject({
      state: "warning",
      detail: expect.stringContaining("1.0 MiB"),
    });
    await set("file_size_limit = null");
  });

  it("tells that the provider's stock or the credit is gone, or that its key may not read", async () => {
    stack.simulator.changeMarket({ gpuTypeId: "NVIDIA GeForce RTX 4090", availability: "NONE" });
    expect((await doctor()).of("places")).toMatchObject({
      state: "warning",
      detail: expect.stringContaining("no stock"),
    });
    stack.simulator.resetMarket();
    const { creditUsd } = stack.simulator.settings();
    stack.simulator.configure({ creditUsd: 0.5 });
    expect((await doctor()).of("funds")).toMatchObject({
      state: "failed",
      remedy: expect.stringContaining("Add credit"),
    });
    stack.simulator.configure({ creditUsd });
    stack.simulator.addFault({ on: "list", kind: "answer", status: 403, body: { error: "forbidden" } });
    expect((await doctor()).of("provider key")).toMatchObject({
      state: "failed",
      remedy: expect.stringContaining("read and write"),
    });
  });

  it("tells a volume that was never prepared, or for other models", async () => {
    const { apiUrl, apiKey } = stack.simulator;
    const made = await fetch(`${apiUrl}/network-volumes`, {
      method: "POST",
      headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json", "user-agent": "test" },
      body: JSON.stringify({ name: "weights", size: 50, dataCenter: "EU-RO-1" }),
    });
    const { id } = (await made.json()) as { id: string };
    const env = { WORKER_PROFILE: "headless-wan2gp", RUNPOD_STORAGE_NAME: "weights", HEADLESS_WAN2GP_MODELS: "t2v" };
    expect((await doctor(env)).of("prepared")).toMatchObject({ state: "warning", remedy: "gpu-pool volume prepare" });
    await stack.rows(`insert into prepared_volumes (volume_id, manifest) values ($1, '{"models": ["flux"]}')`, [id]);
    expect((await doctor(env)).of("prepared")).toMatchObject({
      state: "failed",
      detail: expect.stringContaining("the volume lacks t2v"),
    });
    const elsewhere = await doctor({ ...env, RUNPOD_DATA_CENTER_IDS: "US-GA-1" });
    expect(elsewhere.of("places")).toMatchObject({
      state: "failed",
      detail: expect.stringContaining(`volume ${id} is in EU-RO-1`),
    });
  });

  it("tells that another deployment holds the task queue", async () => {
    const taskQueue = `taken-${stack.pool}`;
    await claimTaskQueue(stack.temporal, taskQueue, "00000000-0000-4000-8000-000000000000");
    expect((await doctor({ TEMPORAL_TASK_QUEUE: taskQueue })).of("deployment")).toMatchObject({
      state: "failed",
      detail: expect.stringContaining("belongs to deployment 00000000-0000-4000-8000-000000000000"),
      remedy: expect.stringContaining("gpu-pool db deployment --set"),
    });
    await stack.temporal.schedule.getHandle(`${taskQueue}-janitor`).delete();
  });

  it("puts a small task in the queue and tries a worker's token, if it is asked to", async () => {
    await stack.rows("insert into pools (name) values ($1) on conflict do nothing", [stack.pool]);
    const { stdout, exitCode } = await runClient(["doctor", "--create-task", "--json"], {
      cwd: tmpdir(),
      env: stack.env,
    });
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    expect(findings.find(({ check }) => check === "worker token")).toMatchObject({ state: "ok" });
    const [id] = findings.find(({ check }) => check === "task")?.detail.split(" ") ?? [];
    expect(await stack.rows("select status, gate from tasks where id = $1", [id])).toEqual([
      { status: "Queued", gate: "open" },
    ]);
    expect(await stack.rows("select status from workers")).toEqual([{ status: "terminated" }]);
    expect(exitCode).toBe(0);
  });
});
