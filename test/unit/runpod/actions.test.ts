import { describe, expect, it } from "vitest";
import { actorLauncher, createPod, startKit, untilStatus } from "../../kit/simulator.ts";
import { script } from "../../kit/runpod-answers.ts";

const NAME = "main-0a1b2c3d";

async function startPod() {
  const kit = await startKit({ launch: actorLauncher().launch });
  const id = await createPod(kit, NAME);
  await untilStatus(kit, id, "RUNNING");
  return { ...kit, id };
}

describe("acting on a pod", () => {
  it("stops, starts and restarts it, and shows what the provider then shows", async () => {
    const { client, id, ...kit } = await startPod();
    expect(await client.actOnPod(id, "restart")).toMatchObject({ kind: "done", pod: { id, status: "STARTING" } });
    await untilStatus({ ...kit, client }, id, "RUNNING");
    expect(await client.actOnPod(id, "stop")).toMatchObject({
      kind: "done",
      pod: { status: "EXITED", costPerHour: 0 },
    });
    expect(await client.actOnPod(id, "start")).toMatchObject({ kind: "done", pod: { status: "PROVISIONING" } });
    expect(
      kit.simulator.requests().filter(({ method, path }) => method === "POST" && path.endsWith("/action")),
    ).toHaveLength(3);
  });

  it("is a conflict when the pod's status does not allow it, and nothing is done", async () => {
    const { client, simulator, id } = await startPod();
    expect(await client.actOnPod(id, "start")).toMatchObject({
      kind: "conflict",
      detail: expect.stringContaining("cannot start a pod that is RUNNING"),
    });
    expect(simulator.ledger().pods[0]).toMatchObject({ status: "RUNNING" });
  });

  it("distinguishes an absent pod, a refusal that proves that nothing was done, and an unknown outcome", async () => {
    const { client, simulator, id } = await startPod();
    expect(await client.actOnPod("nosuchpod", "stop")).toEqual({ kind: "absent" });
    expect(await client.actOnPod("", "stop")).toMatchObject({ kind: "unknown" });
    await client.actOnPod(id, "stop");
    for (const [fault, expected] of [
      [{ kind: "no-capacity" }, { kind: "refused", reason: "capacity", status: 400 }],
      [{ kind: "no-funds" }, { kind: "refused", reason: "funds", status: 402 }],
      [
        { kind: "rate-limited", retryAfterSec: 3, window: "day" },
        { reason: "rate_limited", retryAfterSec: 3 },
      ],
      [{ kind: "error" }, { kind: "unknown", detail: expect.stringContaining(`start of pod "${id}": HTTP 500`) }],
      [{ kind: "reset" }, { kind: "unknown", reason: "unreachable" }],
      [{ kind: "answer", status: 200, body: { id: "p2", status: "RUNNING" } }, { kind: "unknown" }],
      [{ kind: "answer", status: 200, body: { id } }, { kind: "unknown" }],
    ] as const) {
      simulator.addFault({ on: "action", ...fault });
      expect(await client.actOnPod(id, "start")).toMatchObject(expected);
      expect(simulator.ledger().pods[0]).toMatchObject({ status: "EXITED" });
    }
    simulator.addFault({ on: "action", kind: "error", done: true });
    expect(await client.actOnPod(id, "start")).toMatchObject({ kind: "unknown" });
    expect(simulator.ledger().pods[0]?.status).not.toBe("EXITED");
  });

  it("is refused, not unknown, when it was not sent, and unknown after an HTML page", async () => {
    const { client } = await script({ status: 404, body: "<html></html>" }, { status: 409, body: "<html></html>" });
    expect(await client.actOnPod("p1", "stop", { signal: AbortSignal.abort() })).toMatchObject({
      kind: "refused",
      reason: "unreachable",
      status: null,
    });
    expect(await client.actOnPod("p1", "stop")).toMatchObject({ kind: "unknown" });
    expect(await client.actOnPod("p1", "stop")).toMatchObject({ kind: "unknown" });
  });

  it("deletes a pod also where the answer does not say so", async () => {
    const { client, simulator, id } = await startPod();
    simulator.addFault({ on: "delete", kind: "reset", done: true });
    expect(await client.deletePod(id)).toMatchObject({ kind: "unknown" });
    expect(simulator.ledger().totals.live).toBe(0);
    simulator.addFault({ on: "delete", kind: "answer", status: 403, body: { detail: "access denied" } });
    expect(await client.deletePod(id)).toMatchObject({ kind: "unknown", reason: "forbidden" });
  });
});
