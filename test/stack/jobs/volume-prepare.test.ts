import { access, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runClient } from "../../kit/client.ts";
import { layOutStandIns, startWeightServer, type WeightServer } from "../../kit/headless-wan2gp/stand-ins.ts";
import { countTasks, expectDoneOnce } from "../../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

interface JobRow {
  readonly id: string;
  readonly pod_id: string | null;
  readonly status: string;
  readonly origin: string;
  readonly state: string;
  readonly gone: boolean;
  readonly cost_usd: string | null;
}

describe("gpu-pool volume", () => {
  let stack: TestStack;
  let weights: WeightServer;
  let standIns: string;
  const run = (...args: string[]) => runClient(args, { cwd: stack.directory, env: stack.env });
  const jobs = () =>
    stack.rows<JobRow>(
      `select w.id, w.pod_id, w.status, w.origin, j.state, w.gone_at is not null as gone, w.cost_usd
       from pod_jobs j join workers w on w.id = j.worker_id order by w.created_at`,
    );
  const root = () => stack.simulator.volumes()[0]?.folder ?? "";

  beforeAll(async () => {
    weights = await startWeightServer();
    standIns = await mkdtemp(join(tmpdir(), "stand-ins-"));
    const settings = await layOutStandIns(standIns, weights);
    stack = await startTestStack({
      env: {
        ...settings,
        WORKER_PROFILE: "headless-wan2gp",
        RUNPOD_STORAGE_NAME: "wan",
        HEADLESS_WAN2GP_ARGS: "--poll-interval 1",
        MAX_HOURLY_SPEND_USD: "5",
      },
    });
    await stack.serve();
  });
  afterAll(async () => {
    await stack?.close();
    weights?.close();
    await rm(standIns, { recursive: true, force: true });
  });

  it("asks before anything costs money, and makes nothing where nobody can be asked", async () => {
    const { exitCode, stderr } = await run("volume", "prepare");
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/a new one named wan, 100 GB in \S+, \$7\.00 a month/);
    expect(stderr).toMatch(/at \$[\d.]+ an hour/);
    expect(stderr).toContain("--yes");
    expect(stack.simulator.volumes()).toEqual([]);
    expect(stack.simulator.ledger().pods).toEqual([]);
  });

  it("invariant 1: asks for a volume once, although the answer is lost and lists lag", async () => {
    stack.simulator.addFault({ on: "volume-create", kind: "error", created: true, listLagMs: 4_000 });
    const lost = await run("volume", "prepare", "--yes");
    expect(lost).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("It may exist and cost money") });
    const again = await run("volume", "prepare", "--yes");
    expect(again.exitCode).toBe(1);
    expect(again.stderr).toMatch(/a volume named wan was asked for \d+ s ago, and the answer is not known/);
    expect(stack.simulator.volumes()).toHaveLength(1);
    await expect.poll(async () => (await run("volume", "list", "--json")).stdout).toContain('"name":"wan"');
  });

  it("goes on where a killed pod left off, verifies, and leaves no pod", async () => {
    const halfSent = weights.stallNext();
    const first = run("volume", "prepare", "--yes", "--json");
    await halfSent;
    const part = join(root(), "Headless-Wan2GP/Wan2GP/ckpts/high_quanto_mbf16_int8.safetensors.part");
    await expect.poll(() => stat(part).then(({ size }) => size)).toBeGreaterThan(0);
    const [killed] = await jobs();
    await fetch(`${stack.simulator.url}/_sim/pods/${killed?.pod_id}/kill`, { method: "POST" });
    const failed = await first;
    expect(failed.exitCode).toBe(1);
    expect(failed.stderr).toContain("its pod is EXITED, and its job was not done");
    expect(failed.stderr).toContain("gpu-pool volume prepare goes on from there");
    expect(await jobs()).toMatchObject([{ origin: "job", status: "error", state: "failed", gone: true }]);
    await expect(access(join(root(), ".gpu-pool/manifest.json"))).rejects.toThrow("ENOENT");
    const made = await readFile(join(root(), "Headless-Wan2GP/venv/pyvenv.cfg"), "utf8");

    const before = weights.requests.length;
    const second = await run("volume", "prepare", "--yes", "--json");
    expect(second.stderr).not.toContain("a new one named");
    expect(second.exitCode).toBe(0);
    expect(JSON.parse(second.stdout)).toMatchObject({
      state: "done",
      manifest: { commit: stack.env["HEADLESS_WAN2GP_COMMIT"], models: ["t2v_2_2", "cocktail"], bytes: 6_000_200 },
    });
    const resumed = weights.requests.slice(before).filter((request) => request.startsWith("GET /high_quanto"));
    expect(resumed).toEqual([expect.stringMatching(/ bytes=[1-9]\d+-$/)]);
    expect(await readFile(join(root(), "Headless-Wan2GP/venv/pyvenv.cfg"), "utf8")).toBe(made);
    const laid = await readFile(join(root(), "Headless-Wan2GP/Wan2GP/ckpts/high_quanto_mbf16_int8.safetensors"));
    expect(laid.equals(weights.files.get("/high_quanto_mbf16_int8.safetensors") ?? Buffer.alloc(0))).toBe(true);
    const all = await jobs();
    expect(all).toMatchObject([{ state: "failed" }, { state: "done", status: "terminated", gone: true }]);
    const { pods } = stack.simulator.ledger();
    expect(pods.map(({ endCause }) => endCause)).toEqual(["deleted", "deleted"]);
    expect(pods.map(({ name }) => name)).toEqual(all.map(({ id }) => id));
    expect(all.every(({ cost_usd }) => Number(cost_usd) > 0)).toBe(true);
  });

  it("lists what the account has and checks it against the settings", async () => {
    const listed = await run("volume", "list", "--json");
    expect(JSON.parse(listed.stdout)).toMatchObject({
      volumes: [{ name: "wan", usdPerMonth: 7, pools: [stack.pool], prepared: { models: ["t2v_2_2", "cocktail"] } }],
    });
    expect((await run("volume", "check")).exitCode).toBe(0);
    const other = await runClient(["volume", "check"], {
      cwd: stack.directory,
      env: { ...stack.env, HEADLESS_WAN2GP_MODELS: "t2v_2_2 flux", RUNPOD_WORKER_IMAGE: "another/image:2" },
    });
    expect(other.exitCode).toBe(1);
    expect(other.stdout).toContain("the volume lacks flux");
    expect(other.stdout).toMatch(/differs\s+image\s+the volume has \S+, the settings say another\/image:2/);
  });

  it("is what the pool's workers boot from", async () => {
    const [volume] = stack.simulator.volumes();
    await stack.startPool({ config: { networkVolumeId: volume?.id } });
    const tasks = await stack.submit(1);
    await expectDoneOnce(stack, tasks);
    expect(await countTasks(stack, "Complete")).toBe(1);
  });
});
