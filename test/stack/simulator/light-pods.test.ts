import { describe, expect, it, onTestFinished } from "vitest";
import { createLightPodLauncher } from "../../../src/simulator/light-pod.ts";
import { type FakeServer, startFakeServer } from "../../kit/fake-queue-server.ts";
import { createPod, type Kit, raw, scriptLauncher, SLEEPER, startKit, untilStatus } from "../../kit/simulator.ts";

const NAME = "main-0a1b2c3d";
const TOKEN = "token-of-this-worker";

async function startLight() {
  const server = await startFakeServer();
  onTestFinished(() => server.close());
  const kit = await startKit({ launch: createLightPodLauncher() });
  return { server, kit };
}

function envOf({ url }: FakeServer, beatMs = 100) {
  const worker = {
    WORKER_ID: NAME,
    WORKER_TOKEN: TOKEN,
    WORKER_ENGINE: "preview",
    // Without it the program believes to be in a pod of the real provider, where previews are refused.
    RUNPOD_API_URL: url,
    WORKER_HEARTBEAT_MS: String(beatMs),
  };
  return { ...worker, SUPABASE_URL: url, SUPABASE_ANON_KEY: "anon" };
}

function entryOf({ simulator }: Kit, id: string) {
  return simulator.ledger().pods.find((pod) => pod.id === id);
}

async function claim(kit: Kit, path: string, taskSec: number): Promise<Response> {
  return await raw(kit, "POST", `/_sim${path}`, { taskSec });
}

describe("a light pod", () => {
  it("sends heartbeats with its own token from its start, without a process and without claiming", async () => {
    const { server, kit } = await startLight();
    server.addTask({});
    const id = await createPod(kit, NAME, envOf(server));
    await untilStatus(kit, id, "RUNNING");
    await expect.poll(() => server.calls("worker_heartbeat").length).toBeGreaterThan(3);
    expect(server.calls("worker_heartbeat")[0]).toMatchObject({ body: { p_worker_id: NAME }, token: TOKEN });
    expect(server.calls("claim_task")).toEqual([]);
    expect(entryOf(kit, id)).toMatchObject({ pid: null, exit: null, live: true, billing: true });
  });

  it("ends with code 0 when its row says that it is drained", async () => {
    const { server, kit } = await startLight();
    const id = await createPod(kit, NAME, envOf(server));
    await untilStatus(kit, id, "RUNNING");
    server.state.workerStatus = "terminating";
    await untilStatus(kit, id, "EXITED");
    expect(entryOf(kit, id)).toMatchObject({ exit: { code: 0, signal: null }, live: true, billing: false });
  });

  it("ends with code 77 when its token is refused, and is in ERROR when its environment is not a GPU worker's", async () => {
    const { server, kit } = await startLight();
    server.state.faults.set("worker_heartbeat", 401);
    const refused = await createPod(kit, NAME, envOf(server));
    await untilStatus(kit, refused, "EXITED");
    expect(entryOf(kit, refused)?.exit).toEqual({ code: 77, signal: null });
    await untilStatus(kit, await createPod(kit, NAME, {}), "ERROR");
  });

  it("sends no heartbeat after its pod was deleted or killed", async () => {
    const { server, kit } = await startLight();
    const deleted = await createPod(kit, NAME, envOf(server));
    const killed = await createPod(kit, NAME, envOf(server));
    await untilStatus(kit, deleted, "RUNNING");
    await untilStatus(kit, killed, "RUNNING");
    await kit.client.deletePod(deleted);
    expect(kit.simulator.killPod(killed)).toBe(true);
    await untilStatus(kit, killed, "EXITED");
    await expect.poll(() => entryOf(kit, deleted)?.exit).toEqual({ code: 0, signal: null });
    expect(entryOf(kit, killed)?.exit).toEqual({ code: null, signal: "SIGKILL" });
    // This pod beats at the same interval: the others would have beaten as often as it does.
    const before = server.calls("worker_heartbeat").length;
    await createPod(kit, "witness", { ...envOf(server), WORKER_ID: "witness" });
    const beatsOf = (worker: string) =>
      server
        .calls("worker_heartbeat")
        .slice(before)
        .filter(({ body }) => body.p_worker_id === worker);
    await expect.poll(() => beatsOf("witness").length).toBeGreaterThan(4);
    // At most the beats that were under way.
    expect(beatsOf(NAME).length).toBeLessThanOrEqual(2);
  });

  it("claims one task when `claimTask` is called, reports progress, and completes it", async () => {
    const { server, kit } = await startLight();
    const task = server.addTask({});
    server.addTask({});
    const id = await createPod(kit, NAME, envOf(server));
    await untilStatus(kit, id, "RUNNING");
    const answer = await claim(kit, `/pods/${id}/claim`, 0.5);
    expect(await answer.json()).toEqual({ [id]: task.id });
    await expect.poll(() => task.status).toBe("Complete");
    expect(task.progress.length).toBeGreaterThan(1);
    expect(server.state.tasks.map(({ status }) => status)).toEqual(["Complete", "Queued"]);
  });

  it("finishes its task before it ends when it is drained, and releases it when its pod is deleted", async () => {
    const { server, kit } = await startLight();
    const [first, second] = [server.addTask({}), server.addTask({})];
    const drained = await createPod(kit, NAME, envOf(server));
    await untilStatus(kit, drained, "RUNNING");
    await claim(kit, "/claim", 0.5);
    server.state.workerStatus = "terminating";
    await untilStatus(kit, drained, "EXITED");
    expect(first.status).toBe("Complete");

    server.state.workerStatus = "active";
    first.leaseToken = null;
    const deleted = await createPod(kit, NAME, envOf(server));
    await untilStatus(kit, deleted, "RUNNING");
    expect(await (await claim(kit, "/claim", 600)).json()).toEqual({ [deleted]: second.id });
    await kit.client.deletePod(deleted);
    await expect.poll(() => entryOf(kit, deleted)?.exit).toEqual({ code: 0, signal: null });
    expect(second.status).toBe("Queued");
  });
});

it("only light pods claim on demand: 404 for another pod and an unknown id, 422 for a wrong body", async () => {
  const kit = await startKit({ launch: scriptLauncher(SLEEPER) });
  const id = await createPod(kit, NAME);
  await untilStatus(kit, id, "RUNNING");
  expect((await claim(kit, `/pods/${id}/claim`, 1)).status).toBe(404);
  expect((await claim(kit, "/pods/none/claim", 1)).status).toBe(404);
  expect((await claim(kit, "/claim", -1)).status).toBe(422);
  expect(await (await claim(kit, "/claim", 1)).json()).toEqual({});
});
