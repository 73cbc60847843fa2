import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { PodToLaunch } from "../../../src/simulator/types.ts";
import { createPod, isAlive, raw, scriptLauncher, SLEEPER, startKit, untilStatus } from "../../kit/simulator.ts";

const NAME = "main-0a1b2c3d";

const touchReadyFile = `require("fs").writeFileSync(process.env.READY_FILE, "");`;

function entryOf(kit: Awaited<ReturnType<typeof startKit>>, id: string) {
  const entry = kit.simulator.ledger().pods.find((pod) => pod.id === id);
  if (!entry) {
    throw new Error(`no pod ${id} in the ledger`);
  }
  return entry;
}

async function runningPid(kit: Awaited<ReturnType<typeof startKit>>, id: string): Promise<number> {
  await untilStatus(kit, id, "RUNNING");
  const { pid } = entryOf(kit, id);
  if (pid === null) {
    throw new Error(`pod ${id} runs without a process`);
  }
  return pid;
}

async function readUntil(reader: ReadableStreamDefaultReader<string>, wanted: string): Promise<string> {
  let text = "";
  while (!text.includes(wanted)) {
    const part = await reader.read();
    if (part.done) {
      throw new Error(`the stream ended without "${wanted}": ${text}`);
    }
    text += part.value;
  }
  return text;
}

describe("the phases of a pod", () => {
  it("follow the provider's order, and the process starts with the last phase", async () => {
    const kit = await startKit({ settings: { provisioningMs: 60_000, startingMs: 60_000 } });
    const first = await createPod(kit, NAME);
    expect(entryOf(kit, first)).toMatchObject({ status: "PROVISIONING", pid: null, runningAt: null });
    kit.simulator.configure({ provisioningMs: 0 });
    const second = await createPod(kit, NAME);
    await untilStatus(kit, second, "STARTING");
    expect(await kit.client.getPod(second)).toMatchObject({ pod: { uptimeSec: null, startedAt: null } });
    expect(entryOf(kit, second).pid).toBeNull();
    kit.simulator.configure({ startingMs: 0 });
    const third = await createPod(kit, NAME);
    expect(await runningPid(kit, third)).toBeGreaterThan(0);
    expect(await kit.client.getPod(third)).toMatchObject({
      pod: { uptimeSec: expect.any(Number), startedAt: expect.stringMatching(/Z$/) },
    });
    const log = await raw(kit, "GET", `/v2/pods/${third}/logs?source=system&tail=3`);
    const text = await readUntil(log.body!.pipeThrough(new TextDecoderStream()).getReader(), "RUNNING");
    expect(text.match(/PROVISIONING|STARTING|RUNNING/g)).toEqual(["PROVISIONING", "STARTING", "RUNNING"]);
  });

  it("give the program the pod's environment and the provider's own variables", async () => {
    const launched: PodToLaunch[] = [];
    const sleeper = scriptLauncher(SLEEPER);
    const kit = await startKit({ launch: (pod) => (launched.push(pod), sleeper(pod)) });
    const id = await createPod(kit, NAME, { WORKER_ID: NAME });
    await untilStatus(kit, id, "RUNNING");
    expect(launched).toMatchObject([
      {
        id,
        name: NAME,
        image: "example/worker:1",
        env: { WORKER_ID: NAME, RUNPOD_POD_ID: id, RUNPOD_GPU_COUNT: "1", RUNPOD_DC_ID: "EU-RO-1" },
      },
    ]);
    expect(await kit.client.getPod(id)).toMatchObject({ pod: { env: { WORKER_ID: NAME } } });
  });

  it("end in ERROR when the program cannot be started", async () => {
    const kit = await startKit({
      launch: () => {
        throw new Error("no such image");
      },
    });
    const id = await createPod(kit, NAME);
    await untilStatus(kit, id, "ERROR");
    const log = await raw(kit, "GET", `/v2/pods/${id}/logs?source=system`);
    expect(await log.text()).toContain("ERROR: container not started: Error: no such image");
  });

  it("reach RUNNING without a process when the pod is mute", async () => {
    const kit = await startKit({ faults: [{ on: "create", kind: "mute" }] });
    const id = await createPod(kit, NAME);
    await untilStatus(kit, id, "RUNNING");
    expect(entryOf(kit, id)).toMatchObject({ pid: null, live: true, billing: true });
    expect(kit.simulator.killPod(id)).toBe(false);
  });
});

describe("the process of a pod", () => {
  it("gets SIGTERM and is gone once its pod is deleted", async () => {
    const kit = await startKit();
    const id = await createPod(kit, NAME);
    const pid = await runningPid(kit, id);
    expect(isAlive(pid)).toBe(true);
    await kit.client.deletePod(id);
    await expect.poll(() => isAlive(pid)).toBe(false);
    await expect.poll(() => entryOf(kit, id).exit).toEqual({ code: null, signal: "SIGTERM" });
    expect(entryOf(kit, id)).toMatchObject({ live: false, endCause: "deleted" });
  });

  it("is killed after the grace period when it ignores SIGTERM", async () => {
    const deaf = `process.on("SIGTERM", () => {}); ${touchReadyFile} ${SLEEPER}`;
    const kit = await startKit({ launch: scriptLauncher(deaf), settings: { stopGraceMs: 300 } });
    const readyFile = join(kit.dataDir, "ready");
    const id = await createPod(kit, NAME, { READY_FILE: readyFile });
    const pid = await runningPid(kit, id);
    await expect.poll(() => existsSync(readyFile)).toBe(true);
    await kit.client.deletePod(id);
    await expect.poll(() => entryOf(kit, id).exit).toEqual({ code: null, signal: "SIGKILL" });
    expect(isAlive(pid)).toBe(false);
  });

  it("leaves its pod EXITED, listed and without cost when it ends by itself", async () => {
    const kit = await startKit({ launch: scriptLauncher("process.exit(3)") });
    const id = await createPod(kit, NAME);
    await untilStatus(kit, id, "EXITED");
    expect(entryOf(kit, id)).toMatchObject({
      exit: { code: 3, signal: null },
      live: true,
      billing: false,
      endedAt: null,
    });
    expect(await kit.client.listPods()).toMatchObject({ pods: [{ id, status: "EXITED", costPerHour: 0 }] });
  });

  it("can be killed by the control routes", async () => {
    const kit = await startKit();
    const id = await createPod(kit, NAME);
    const pid = await runningPid(kit, id);
    expect((await raw(kit, "POST", `/_sim/pods/${id}/kill`)).status).toBe(204);
    await untilStatus(kit, id, "EXITED");
    expect(entryOf(kit, id).exit).toEqual({ code: null, signal: "SIGKILL" });
    expect(isAlive(pid)).toBe(false);
  });

  it("is killed when its pod vanishes", async () => {
    const kit = await startKit();
    const id = await createPod(kit, NAME);
    const pid = await runningPid(kit, id);
    expect(kit.simulator.vanishPod(id)).toBe(true);
    await expect.poll(() => isAlive(pid)).toBe(false);
    expect(await kit.client.getPod(id)).toEqual({ kind: "absent" });
  });

  it("is replaced on restart, after the old process is gone", async () => {
    const deaf = scriptLauncher(`process.on("SIGTERM", () => {}); ${touchReadyFile} ${SLEEPER}`);
    const launches: { pid: number | null; othersAlive: boolean }[] = [];
    const kit = await startKit({
      settings: { stopGraceMs: 300 },
      launch: async (pod) => {
        const othersAlive = launches.some((launch) => isAlive(launch.pid));
        const launched = await deaf(pod);
        launches.push({ pid: launched.pid, othersAlive });
        return launched;
      },
    });
    const readyFile = join(kit.dataDir, "ready");
    const id = await createPod(kit, NAME, { READY_FILE: readyFile });
    await expect.poll(() => existsSync(readyFile)).toBe(true);
    await raw(kit, "POST", `/v2/pods/${id}/action`, { action: "restart" });
    await untilStatus(kit, id, "RUNNING");
    expect(launches.map((launch) => [launch.othersAlive, isAlive(launch.pid)])).toEqual([
      [false, false],
      [false, true],
    ]);
  });

  it("never outlives the simulator, even when its launch is under way as the simulator closes", async () => {
    const sleeper = scriptLauncher(SLEEPER);
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const pids: (number | null)[] = [];
    const kit = await startKit({
      launch: async (pod) => {
        if (pod.name === "slow") {
          await gate;
        }
        const launched = await sleeper(pod);
        pids.push(launched.pid);
        return launched;
      },
    });
    await runningPid(kit, await createPod(kit, NAME));
    const slow = await createPod(kit, "slow");
    await untilStatus(kit, slow, "STARTING");
    const closed = kit.simulator.close();
    release();
    await closed;
    expect(pids.map(isAlive)).toEqual(pids.map(() => false));
    expect(kit.simulator.ledger().totals.live).toBe(0);
  });
});
