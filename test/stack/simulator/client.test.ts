import { describe, expect, it } from "vitest";
import { createRunpodClient } from "../../../src/runpod/client.ts";
import { createPod, podRequest, raw, startKit } from "../../kit/simulator.ts";

const NAME = "main-0a1b2c3d";

describe("creating a pod", () => {
  it("returns the pod that the provider created", async () => {
    const { simulator, client } = await startKit({ settings: { provisioningMs: 60_000 } });
    const outcome = await client.createPod(podRequest(NAME, { GPU_POOL_DEPLOYMENT: "test" }));
    expect(outcome).toMatchObject({
      kind: "created",
      pod: {
        name: NAME,
        status: "PROVISIONING",
        gpuTypeId: "NVIDIA GeForce RTX 4090",
        costPerHour: 0.69,
        startedAt: null,
        uptimeSec: null,
        env: { GPU_POOL_DEPLOYMENT: "test" },
      },
    });
    expect(simulator.ledger().totals).toMatchObject({ pods: 1, live: 1 });
  });

  it.each([
    [
      { on: "create", kind: "no-capacity" },
      { reason: "capacity", status: 400 },
    ],
    [
      { on: "create", kind: "no-funds" },
      { reason: "funds", status: 402 },
    ],
    [
      { on: "create", kind: "rate-limited", retryAfterSec: 7 },
      { reason: "rate_limited", status: 429, retryAfterSec: 7 },
    ],
  ] as const)("is refused under %o, and no pod exists", async (fault, expected) => {
    const { simulator, client } = await startKit({ faults: [fault] });
    expect(await client.createPod(podRequest(NAME))).toMatchObject({ kind: "refused", ...expected });
    expect(simulator.ledger().totals.pods).toBe(0);
  });

  it.each([
    ["a 500", { kind: "error" }],
    ["a cut connection", { kind: "reset" }],
    ["an unreadable 201", { kind: "garbage" }],
  ] as const)("is ambiguous after %s, whether or not the pod exists, and is sent only once", async (_, fault) => {
    for (const created of [true, false]) {
      const { simulator, client } = await startKit({ faults: [{ on: "create", created, ...fault }] });
      const outcome = await client.createPod(podRequest(NAME));
      expect(outcome).toMatchObject({ kind: "ambiguous", detail: expect.stringContaining(NAME) });
      expect(simulator.ledger().pods.map((pod) => pod.name)).toEqual(created ? [NAME] : []);
      expect(simulator.requests().filter((request) => request.method === "POST")).toHaveLength(1);
    }
  });

  it("is ambiguous when the answer is late, and lists show the pod later", async () => {
    const kit = await startKit({
      faults: [{ on: "create", kind: "reset", created: true, afterMs: 60_000, listLagMs: 2500 }],
      clientTimeoutMs: 1500,
    });
    expect(await kit.client.createPod(podRequest(NAME))).toEqual({
      kind: "ambiguous",
      detail: `creating pod "${NAME}": no answer within 1500 ms`,
    });
    await expect
      .poll(async () => {
        const list = await kit.client.listPods();
        return list.kind === "complete" ? list.pods.map((pod) => pod.name) : list;
      })
      .toEqual([NAME]);
  });

  it("is ambiguous when it is cancelled after it was sent", async () => {
    const { simulator, client } = await startKit({
      faults: [{ on: "create", kind: "reset", created: true, afterMs: 60_000 }],
    });
    const cancel = new AbortController();
    const outcome = client.createPod(podRequest(NAME), { signal: cancel.signal });
    await expect.poll(() => simulator.ledger().totals.pods).toBe(1);
    cancel.abort();
    expect(await outcome).toMatchObject({ kind: "ambiguous", detail: expect.stringContaining("cancelled") });
  });

  it("is refused as unauthorized with a wrong key, without showing the key", async () => {
    const { simulator } = await startKit();
    const client = createRunpodClient({ apiUrl: simulator.apiUrl, apiKey: "rpa_wrong_key", userAgent: "test" });
    const outcome = await client.createPod(podRequest(NAME));
    expect(outcome).toMatchObject({ kind: "refused", reason: "unauthorized", status: 401 });
    expect(JSON.stringify(outcome)).not.toContain("rpa_wrong_key");
    await client.close();
  });

  it("is refused as invalid with the fields named and the request id quoted", async () => {
    const { client } = await startKit();
    const outcome = await client.createPod({ ...podRequest(NAME), interruptible: true } as never);
    expect(outcome).toMatchObject({ kind: "refused", reason: "invalid", status: 422 });
    expect(outcome).toMatchObject({
      detail: expect.stringMatching(/body\.interruptible: unexpected property.*x-request-id [0-9a-f-]{36}/),
    });
  });
});

describe("reading pods", () => {
  it("finds a pod by id and distinguishes an absent pod from an unreadable answer", async () => {
    const kit = await startKit({ settings: { provisioningMs: 60_000 } });
    const id = await createPod(kit, NAME);
    expect(await kit.client.getPod(id)).toMatchObject({ kind: "found", pod: { id, name: NAME } });
    expect(await kit.client.getPod("nosuchpod")).toEqual({ kind: "absent" });
    kit.simulator.addFault({ on: "get", kind: "error" });
    expect(await kit.client.getPod(id)).toMatchObject({ kind: "unknown", detail: expect.stringContaining("HTTP 500") });
    kit.simulator.addFault({ on: "get", kind: "garbage" });
    expect(await kit.client.getPod(id)).toMatchObject({ kind: "unknown" });
    kit.simulator.addFault({ on: "get", kind: "rate-limited", retryAfterSec: 9 });
    expect(await kit.client.getPod(id)).toMatchObject({ kind: "unknown", retryAfterSec: 9 });
  });

  it("follows the cursor through pages of two, newest first, to the end", async () => {
    const kit = await startKit({ settings: { pageSize: 2, provisioningMs: 60_000 } });
    const ids: string[] = [];
    for (const name of ["a", "b", "c", "d", "e"]) {
      ids.unshift(await createPod(kit, name));
    }
    const list = await kit.client.listPods();
    expect(list.kind === "complete" && list.pods.map((pod) => pod.id)).toEqual(ids);
    expect(kit.simulator.requests().filter((request) => request.method === "GET")).toHaveLength(3);
  });

  it("takes a list without pods as complete and a failed list as unknown", async () => {
    const { simulator, client } = await startKit();
    expect(await client.listPods()).toEqual({ kind: "complete", pods: [] });
    for (const kind of ["error", "garbage", "reset", "rate-limited"] as const) {
      simulator.addFault({ on: "list", kind });
      expect(await client.listPods()).toMatchObject({ kind: "unknown" });
    }
  });

  it("does not list a pod before its lag has passed, though it can be read by id", async () => {
    let clockMs = 1_000_000;
    const kit = await startKit({ now: () => clockMs, faults: [{ on: "create", kind: "list-lag", listLagMs: 5000 }] });
    const id = await createPod(kit, NAME);
    expect(await kit.client.listPods()).toEqual({ kind: "complete", pods: [] });
    expect(await kit.client.getPod(id)).toMatchObject({ kind: "found" });
    clockMs += 5000;
    expect(await kit.client.listPods()).toMatchObject({ kind: "complete", pods: [{ id }] });
  });
});

describe("deleting a pod", () => {
  it("is accepted; the pod shows as terminated during the lag and is gone after it", async () => {
    let clockMs = 1_000_000;
    const kit = await startKit({ now: () => clockMs, settings: { deleteLagSec: 10, provisioningMs: 60_000 } });
    const id = await createPod(kit, NAME);
    expect(await kit.client.deletePod(id)).toEqual({ kind: "accepted" });
    expect(await kit.client.getPod(id)).toMatchObject({ kind: "found", pod: { status: "TERMINATED", costPerHour: 0 } });
    expect(await kit.client.listPods()).toMatchObject({ pods: [{ id, status: "TERMINATED" }] });
    expect(await kit.client.deletePod(id)).toEqual({ kind: "absent" });
    clockMs += 10_000;
    expect(await kit.client.getPod(id)).toEqual({ kind: "absent" });
    expect(await kit.client.listPods()).toEqual({ kind: "complete", pods: [] });
  });

  it("has an unknown outcome after a 500 or a cut connection, and the pod still exists", async () => {
    const kit = await startKit({ settings: { provisioningMs: 60_000 } });
    const id = await createPod(kit, NAME);
    for (const kind of ["error", "reset"] as const) {
      kit.simulator.addFault({ on: "delete", kind });
      expect(await kit.client.deletePod(id)).toMatchObject({ kind: "unknown", detail: expect.stringContaining(id) });
    }
    expect(kit.simulator.ledger().totals.live).toBe(1);
  });

  it("reports a pod that another client deleted as absent", async () => {
    const kit = await startKit({ settings: { provisioningMs: 60_000 } });
    const id = await createPod(kit, NAME);
    expect((await raw(kit, "POST", `/_sim/pods/${id}/vanish`)).status).toBe(204);
    expect(await kit.client.deletePod(id)).toEqual({ kind: "absent" });
    expect(await kit.client.listPods()).toEqual({ kind: "complete", pods: [] });
    expect(kit.simulator.ledger().pods[0]).toMatchObject({ endCause: "vanished", live: false });
  });
});
