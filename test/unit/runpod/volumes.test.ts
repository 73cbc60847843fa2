import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { PodToLaunch } from "../../../src/simulator/types.ts";
import { createPod, podRequest, raw, startKit, type Kit, untilStatus } from "../../kit/simulator.ts";
import { script } from "../../kit/runpod-answers.ts";

const MODELS = { name: "models", sizeGb: 50, dataCenterId: "EU-RO-1" };
const HELD = { settings: { provisioningMs: 60_000 } };

async function makeVolume({ client }: Kit, change: Partial<typeof MODELS> = {}): Promise<string> {
  const outcome = await client.createVolume({ ...MODELS, ...change });
  if (outcome.kind !== "created") {
    throw new Error(outcome.detail);
  }
  return outcome.volume.id;
}

describe("creating a network volume", () => {
  it("returns the volume, whose folder exists, and takes the data center's first type if none is given", async () => {
    const kit = await startKit();
    const outcome = await kit.client.createVolume(MODELS);
    expect(outcome).toMatchObject({ kind: "created", volume: { ...MODELS, type: "STANDARD" } });
    const [volume] = kit.simulator.volumes();
    expect(volume).toMatchObject({ ...MODELS, folder: expect.stringContaining(join(kit.dataDir, "volumes")) });
    expect(existsSync(volume?.folder ?? "")).toBe(true);
    expect(await kit.client.createVolume({ ...MODELS, type: "HIGH_PERFORMANCE" })).toMatchObject({
      volume: { type: "HIGH_PERFORMANCE" },
    });
  });

  it("is refused as invalid for what the data center or the provider does not have", async () => {
    const { simulator, client } = await startKit();
    for (const [change, status, detail] of [
      [{ dataCenterId: "CA-MTL-1" }, 400, "these have: EU-RO-1, EU-SE-1"],
      [{ dataCenterId: "MOON-1" }, 400, "these have"],
      [{ dataCenterId: "EU-SE-1", type: "HIGH_PERFORMANCE" }, 400, "EU-RO-1, US-KS-2"],
      [{ sizeGb: 9 }, 422, "body.size"],
      [{ sizeGb: 4097 }, 422, "body.size"],
    ] as const) {
      expect(await client.createVolume({ ...MODELS, ...change })).toMatchObject({
        kind: "refused",
        reason: "invalid",
        status,
        detail: expect.stringContaining(detail),
      });
    }
    expect(simulator.volumes()).toEqual([]);
  });

  it("is refused for lack of funds, for too many calls, and with a wrong answer to a key", async () => {
    const { simulator, client } = await startKit();
    simulator.addFault({ on: "volume-create", kind: "no-funds" });
    expect(await client.createVolume(MODELS)).toMatchObject({ kind: "refused", reason: "funds", status: 402 });
    simulator.addFault({ on: "volume-create", kind: "rate-limited", retryAfterSec: 7, window: "hour" });
    expect(await client.createVolume(MODELS)).toMatchObject({ reason: "rate_limited", retryAfterSec: 7 });
    simulator.addFault({ on: "volume-create", kind: "answer", status: 401, body: { detail: "invalid key" } });
    expect(await client.createVolume(MODELS)).toMatchObject({ kind: "refused", reason: "unauthorized" });
    simulator.configure({ noFundsStatus: 403 });
    expect(await client.createVolume(MODELS)).toMatchObject({ kind: "refused", reason: "funds", status: 403 });
    expect(simulator.volumes()).toEqual([]);
  });

  it("is ambiguous after an unclear answer, whether or not the volume exists, and is sent only once", async () => {
    const { simulator, client } = await startKit();
    for (const kind of ["error", "reset", "garbage"] as const) {
      for (const created of [true, false]) {
        const [volumes, requests] = [simulator.volumes().length, simulator.requests().length];
        simulator.addFault({ on: "volume-create", kind, created });
        const detail = expect.stringContaining('"models"');
        expect(await client.createVolume(MODELS)).toMatchObject({ kind: "ambiguous", detail });
        expect(simulator.volumes()).toHaveLength(volumes + (created ? 1 : 0));
        expect(simulator.requests()).toHaveLength(requests + 1);
      }
    }
  });

  it("is refused as unreachable when nothing was sent", async () => {
    const kit = await startKit();
    await kit.simulator.close();
    expect(await kit.client.createVolume(MODELS)).toMatchObject({ reason: "unreachable", status: null });
  });
});

describe("finding a network volume", () => {
  it("by its name finds the one that has it, and refuses to choose between several", async () => {
    const kit = await startKit();
    expect(await kit.client.findVolume("models")).toEqual({ kind: "absent" });
    const id = await makeVolume(kit);
    await makeVolume(kit, { name: "other" });
    expect(await kit.client.findVolume("models")).toMatchObject({ kind: "found", volume: { id, sizeGb: 50 } });
    const second = await makeVolume(kit, { dataCenterId: "US-KS-2" });
    expect(await kit.client.findVolume("models")).toMatchObject({ kind: "several", volumes: [{ id }, { id: second }] });
  });

  it("invariant 3: is unknown after a failed list, and while an entry could have the name", async () => {
    const kit = await startKit();
    for (const kind of ["error", "reset", "garbage", "rate-limited"] as const) {
      kit.simulator.addFault({ on: "volume-list", kind });
      expect(await kit.client.findVolume("models")).toMatchObject({ kind: "unknown" });
    }
    for (const entry of [null, { id: 7, name: "models" }, { id: "v1", name: null }]) {
      kit.simulator.addFault({ on: "volume-list", kind: "odd-entries", entries: [entry] });
      expect(await kit.client.findVolume("models")).toMatchObject({
        kind: "unknown",
        detail: expect.stringContaining("1 entries show no readable id and name"),
      });
    }
    const id = await makeVolume(kit);
    kit.simulator.addFault({ on: "volume-list", kind: "odd-entries", entries: [null] });
    expect(await kit.client.findVolume("models")).toMatchObject({ kind: "found", volume: { id } });
  });

  it("is not listed before its lag has passed, though it can be read by id", async () => {
    let clockMs = 1_000_000;
    const lag = { on: "volume-create", kind: "list-lag", listLagMs: 5000 } as const;
    const kit = await startKit({ now: () => clockMs, faults: [lag] });
    const id = await makeVolume(kit);
    expect(await kit.client.listVolumes()).toEqual({ kind: "complete", volumes: [], unnamed: 0 });
    expect(await kit.client.getVolume(id)).toMatchObject({ kind: "found" });
    clockMs += 5000;
    expect(await kit.client.listVolumes()).toMatchObject({ volumes: [{ id }] });
  });

  it("invariant 17: is complete beside odd entries, and takes odd fields for unknown", async () => {
    const kit = await startKit();
    const entries = [null, 7, { id: "../x" }, { id: "v1", name: "n", size: "many", dataCenter: {}, type: 3, cost: 1 }];
    kit.simulator.addFault({ on: "volume-list", kind: "odd-entries", entries });
    expect(await kit.client.listVolumes()).toEqual({
      kind: "complete",
      volumes: [{ id: "v1", name: "n", sizeGb: null, dataCenterId: null, type: null }],
      unnamed: 3,
    });
  });

  it("is unknown when the list announces more and shows no way to it", async () => {
    const body = { networkVolumes: [{ id: "v1", name: "n" }], pagination: { nextCursor: null, hasNextPage: true } };
    const { client } = await script({ status: 200, body });
    expect(await client.listVolumes()).toMatchObject({ kind: "unknown" });
  });

  it("by its id distinguishes an absent volume from an unreadable answer and from another's data", async () => {
    const kit = await startKit();
    const id = await makeVolume(kit);
    expect(await kit.client.getVolume(id)).toMatchObject({ kind: "found", volume: { id, ...MODELS } });
    expect(await kit.client.getVolume("nosuchvolume")).toEqual({ kind: "absent" });
    expect(await kit.client.getVolume("")).toMatchObject({ kind: "unknown" });
    for (const kind of ["error", "reset", "garbage", "rate-limited"] as const) {
      kit.simulator.addFault({ on: "volume-get", kind });
      expect(await kit.client.getVolume(id)).toMatchObject({ kind: "unknown", detail: expect.stringContaining(id) });
    }
    kit.simulator.addFault({ on: "volume-get", kind: "answer", status: 200, body: { id: "other" } });
    expect(await kit.client.getVolume(id)).toMatchObject({ detail: expect.stringContaining("another volume's data") });
  });
});

describe("changing a network volume", () => {
  it("renames it and lets it grow, but not shrink", async () => {
    const kit = await startKit();
    const id = await makeVolume(kit);
    expect(await kit.client.updateVolume(id, { sizeGb: 80 })).toMatchObject({
      kind: "updated",
      volume: { name: "models", sizeGb: 80 },
    });
    expect(await kit.client.updateVolume(id, { name: "weights" })).toMatchObject({
      volume: { name: "weights", sizeGb: 80 },
    });
    expect(await kit.client.updateVolume(id, { sizeGb: 79 })).toMatchObject({
      kind: "refused",
      reason: "invalid",
      status: 400,
    });
    expect(await kit.client.updateVolume(id, {})).toMatchObject({ kind: "refused", status: 422 });
    expect(await kit.client.updateVolume("nosuchvolume", { sizeGb: 80 })).toEqual({ kind: "absent" });
    expect(await kit.client.updateVolume("", { sizeGb: 80 })).toMatchObject({ kind: "unknown" });
  });

  it("has an unknown outcome after a 500 or a cut connection, done or not", async () => {
    const kit = await startKit();
    const id = await makeVolume(kit);
    for (const kind of ["error", "reset"] as const) {
      for (const done of [true, false]) {
        kit.simulator.addFault({ on: "volume-update", kind, done });
        const sizeGb = (kit.simulator.volumes()[0]?.sizeGb ?? 0) + 10;
        expect(await kit.client.updateVolume(id, { sizeGb })).toMatchObject({ kind: "unknown" });
        expect(kit.simulator.volumes()[0]?.sizeGb === sizeGb).toBe(done);
      }
    }
    kit.simulator.addFault({ on: "volume-update", kind: "rate-limited", retryAfterSec: 4 });
    expect(await kit.client.updateVolume(id, { sizeGb: 500 })).toMatchObject({ kind: "refused", retryAfterSec: 4 });
    kit.simulator.addFault({ on: "volume-update", kind: "answer", status: 409, body: {} });
    expect(await kit.client.updateVolume(id, { sizeGb: 500 })).toMatchObject({ kind: "refused", reason: "invalid" });
  });
});

describe("deleting a network volume", () => {
  it("is accepted, and its folder and files are gone", async () => {
    const kit = await startKit();
    const id = await makeVolume(kit);
    const folder = kit.simulator.volumes()[0]?.folder ?? "";
    expect(await kit.client.deleteVolume(id)).toEqual({ kind: "accepted" });
    expect(existsSync(folder)).toBe(false);
    expect(await kit.client.deleteVolume(id)).toEqual({ kind: "absent" });
    expect(await kit.client.deleteVolume("")).toMatchObject({ kind: "unknown" });
    expect(await kit.client.listVolumes()).toMatchObject({ volumes: [] });
  });

  it("is refused while a pod has it, and unknown after a 500 or a cut connection, done or not", async () => {
    const kit = await startKit(HELD);
    const id = await makeVolume(kit);
    const mounts = { network: [{ volumeId: id, path: "/workspace" }] } as const;
    const pod = await kit.client.createPod({ ...podRequest("main-0a1b2c3d"), mounts });
    expect(await kit.client.deleteVolume(id)).toMatchObject({
      kind: "refused",
      reason: "invalid",
      detail: expect.stringContaining("in use by pod"),
    });
    await kit.client.deletePod(pod.kind === "created" ? pod.pod.id : "");
    for (const [kind, done] of [
      ["error", false],
      ["reset", false],
      ["error", true],
    ] as const) {
      kit.simulator.addFault({ on: "volume-delete", kind, done });
      expect(await kit.client.deleteVolume(id)).toMatchObject({ kind: "unknown", detail: expect.stringContaining(id) });
      expect(kit.simulator.volumes()).toHaveLength(done ? 0 : 1);
    }
  });
});

describe("a pod with a network volume", () => {
  it("is placed in the volume's data center, and refused elsewhere, in the community cloud, and without the volume", async () => {
    const launched: PodToLaunch[] = [];
    const kit = await startKit({
      launch: (pod) => {
        launched.push(pod);
        throw new Error("this test launches no process");
      },
    });
    const volumeId = await makeVolume(kit, { dataCenterId: "US-KS-2" });
    const request = {
      ...podRequest("main-0a1b2c3d"),
      mounts: { network: [{ volumeId, path: "/workspace" }] } as const,
    };
    const refused = [
      [{ dataCenterIds: ["EU-RO-1"] }, 400, "US-KS-2"],
      [{ cloud: "COMMUNITY" }, 400, "secure cloud"],
      [{ mounts: { network: [{ volumeId: "nosuchvolume", path: "/w" }] } }, 404, "volume not found"],
    ] as const;
    for (const [change, status, detail] of refused) {
      expect(await kit.client.createPod({ ...request, ...change })).toMatchObject({
        kind: "refused",
        reason: "invalid",
        status,
        detail: expect.stringContaining(detail),
      });
    }
    const made = await kit.client.createPod(request);
    const id = made.kind === "created" ? made.pod.id : "";
    await untilStatus(kit, id, "ERROR");
    expect(await (await raw(kit, "GET", `/v2/pods/${id}`)).json()).toMatchObject({ dataCenterId: "US-KS-2" });
    const [volume] = kit.simulator.volumes();
    expect(launched[0]?.mounts).toEqual([{ path: "/workspace", folder: volume?.folder }]);
    kit.simulator.changeMarket({ dataCenterId: "US-KS-2", availability: "NONE" });
    expect(await kit.client.createPod(request)).toMatchObject({ reason: "capacity" });
    expect(await createPod(kit, "main-0a1b2c3e")).toBeTruthy();
  });
});
