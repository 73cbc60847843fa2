import { rename } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runClient } from "../../kit/client.ts";
import { DATA_CENTER, layOutDouble, makeVolume } from "../../kit/headless-wan2gp/lay-out.ts";
import { doMixedQueue, EACH_ITS_OWN, MIXED_TASK_TYPES } from "../../kit/headless-wan2gp/mixed-queue.ts";
import { expectDoneOnce, expectNothingLeft, workerStates } from "../../kit/lifecycle.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import { journalStore } from "../../../src/supabase/journal-store.ts";

interface ShownPod {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

describe("WORKER_PROFILE=headless-wan2gp", () => {
  let stack: TestStack;
  /** The folder of the checkout on the pods' volume. */
  let home: string;
  beforeAll(async () => {
    stack = await startTestStack({
      env: {
        WORKER_PROFILE: "headless-wan2gp",
        HEADLESS_WAN2GP_ARGS: "--poll-interval 1",
        FAILURE_WINDOW_MINUTES: "0.01",
      },
    });
    const { id, folder } = await makeVolume(stack);
    home = join(folder, "Headless-Wan2GP");
    await layOutDouble(folder);
    await stack.serve();
    const config = { networkVolumeId: id, dataCenterIds: [DATA_CENTER], workerTaskTypes: MIXED_TASK_TYPES };
    await stack.startPool({ config });
  });
  afterAll(async () => await stack?.close());

  it("boots that worker from its volume by its start command, and its tasks become videos", async () => {
    const [small = "", large = ""] = [
      ...(await stack.submit(1, { prompt: "a small cat" })),
      ...(await stack.submit(1, { prompt: "a large cat", bytes: 2_500_000 })),
    ];
    await expect.poll(shownPods).not.toEqual([]);
    const [pod] = await shownPods();
    await expectDoneOnce(stack, [small, large]);
    for (const [task, bytes] of [
      [small, 1_024],
      [large, 2_500_024],
    ] as const) {
      const [row] = await stack.rows<{ output_location: string }>("select output_location from tasks where id = $1", [
        task,
      ]);
      const video = await fetch(row?.output_location ?? "");
      expect((await video.arrayBuffer()).byteLength).toBe(bytes);
    }
    const stages = await stack.rows<{ boot_stage: string }>("select distinct boot_stage from workers");
    expect(stages).toEqual([{ boot_stage: "ready" }]);
    await expectNothingLeft(stack);
    expect(await workerStates(stack)).toMatchObject([{ status: "terminated" }]);

    // The service key is nowhere in the request, and no secret is in the command: the pod's own shell expands it.
    const whole = JSON.stringify(pod);
    for (const key of [stack.keys.serviceRoleKey, stack.keys.secretKey, stack.keys.jwtSecret]) {
      expect(whole).not.toContain(key);
    }
    const { WORKER_TOKEN = "", OLD_WORKER_URL = "", SUPABASE_ANON_KEY = "" } = pod?.env ?? {};
    const command = [...(pod?.entrypoint ?? []), ...(pod?.cmd ?? [])].join("\n");
    expect(
      [WORKER_TOKEN, OLD_WORKER_URL, SUPABASE_ANON_KEY].filter((secret) => !secret || command.includes(secret)),
    ).toEqual([]);
    expect(command).toContain('--supabase-access-token "$WORKER_TOKEN"');
    expect(command).not.toContain("/workspace");
  });

  it("works off one queue with a GPU worker of ours, each only what it can", async () => {
    expect(await doMixedQueue(stack)).toEqual(EACH_ITS_OWN);
    await expectNothingLeft(stack);
  });

  it("ends a worker whose volume is not prepared at once, by its own word; diagnostics and explain have the pod's log", async () => {
    await rename(join(home, "worker.py"), join(home, "moved.py"));
    const since = (await workerStates(stack)).length;
    const ids = await stack.submit(1);
    const failed = async () => (await workerStates(stack)).slice(since).filter(({ gone }) => gone);
    await expect.poll(failed).not.toEqual([]);
    await rename(join(home, "moved.py"), join(home, "worker.py"));
    const [worker] = await failed();
    const missing = /worker\.py does not exist: is the volume prepared/;
    expect(worker).toMatchObject({ status: "error", status_reason: expect.stringMatching(missing) });
    const [boot] = await journalStore(stack.db)
      .failedBoots(stack.pool, 1_000)
      .then((boots) => boots.filter((each) => each.worker === worker?.id));
    expect(boot).toMatchObject({ stage: "installing", reason: worker?.status_reason });
    expect(boot?.lines.find((line) => missing.test(line))).toMatch(/^container: /);
    expect(boot?.lines.filter((line) => line.startsWith("system: "))).not.toEqual([]);
    const { stdout: explained } = await runClient(["explain"], { cwd: stack.directory, env: stack.env });
    // Others may have failed since, and only the newest are shown.
    expect(explained).toMatch(new RegExp(`^${stack.pool}-[0-9a-f]{8} failed at .* in boot stage installing: `, "m"));
    expect(explained).toMatch(missing);
    await expectDoneOnce(stack, ids);
    await expectNothingLeft(stack);
  });

  it("is refused where its settings cannot work, by the command that starts the pool, and nothing is rented", async () => {
    const rented = stack.simulator.ledger().pods.length;
    const config = JSON.stringify({ workerProfile: "custom", minActiveGpus: 2 });
    const start = ["pool", "start", "--pool", `${stack.pool}-2`, "--config", config];
    const { exitCode, stderr } = await runClient(start, { cwd: stack.directory, env: stack.env });
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("WORKER_START_COMMAND: profile custom needs it, or WORKER_ENTRYPOINT"),
    });
    expect(stack.simulator.ledger().pods).toHaveLength(rented);
  });

  async function shownPods(): Promise<readonly ShownPod[]> {
    const { apiUrl, apiKey } = stack.simulator;
    const headers = { authorization: `Bearer ${apiKey}`, "user-agent": "test" };
    const answer = await fetch(`${apiUrl}/pods`, { headers });
    return answer.ok ? ((await answer.json()) as { pods: ShownPod[] }).pods : [];
  }
});
