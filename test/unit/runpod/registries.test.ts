import { describe, expect, it } from "vitest";
import { actorLauncher, createPod, podRequest, startKit, untilStatus } from "../../kit/simulator.ts";

const LOGIN = { name: "our-images", username: "pull-robot", password: "correct-horse-battery" };
const NAME = "main-0a1b2c3d";

describe("the login for a private registry", () => {
  it("is created, read, listed and deleted, and its secrets are in no outcome", async () => {
    const { simulator, client } = await startKit();
    const made = await client.createRegistry(LOGIN);
    const id = made.kind === "created" ? made.registry.id : "";
    expect(made).toEqual({ kind: "created", registry: { id, name: LOGIN.name } });
    expect(await client.getRegistry(id)).toEqual({ kind: "found", registry: { id, name: LOGIN.name } });
    expect(await client.listRegistries()).toEqual({ kind: "complete", registries: [{ id, name: LOGIN.name }] });
    expect(await client.deleteRegistry(id)).toEqual({ kind: "accepted" });
    expect(await client.deleteRegistry(id)).toEqual({ kind: "absent" });
    expect(await client.getRegistry(id)).toEqual({ kind: "absent" });
    expect(await client.getRegistry("")).toMatchObject({ kind: "unknown" });
    expect(await client.deleteRegistry("")).toMatchObject({ kind: "unknown" });
    const body = { detail: `${LOGIN.username} with ${LOGIN.password} is not known` };
    simulator.addFault({ on: "registry-create", kind: "answer", status: 400, body });
    simulator.addFault({ on: "registry-create", kind: "answer", status: 500, body });
    for (const kind of ["refused", "ambiguous"]) {
      expect(await client.createRegistry(LOGIN)).toMatchObject({
        kind,
        detail: expect.stringContaining("[redacted] with [redacted] is not known"),
      });
    }
    expect(JSON.stringify(simulator.requests())).not.toContain(LOGIN.password);
  });

  it("is refused without a password, and ambiguous after an unclear answer", async () => {
    const { simulator, client } = await startKit();
    expect(await client.createRegistry({ ...LOGIN, password: "" })).toMatchObject({
      kind: "refused",
      status: 422,
      detail: expect.stringContaining("body.password"),
    });
    for (const kind of ["error", "reset", "garbage"] as const) {
      simulator.addFault({ on: "registry-create", kind, created: true });
      expect(await client.createRegistry(LOGIN)).toMatchObject({ kind: "ambiguous" });
    }
    expect(await client.listRegistries()).toMatchObject({ registries: [{}, {}, {}] });
  });

  it("is unknown after a failed read, and listed beside odd entries", async () => {
    const { simulator, client } = await startKit();
    for (const kind of ["error", "reset", "garbage", "rate-limited"] as const) {
      simulator.addFault({ on: "registry-list", kind });
      expect(await client.listRegistries()).toMatchObject({ kind: "unknown" });
      simulator.addFault({ on: "registry-get", kind });
      expect(await client.getRegistry("r1")).toMatchObject({ kind: "unknown" });
    }
    const entries = [null, { id: 7 }, { id: "r1", name: {} }];
    simulator.addFault({ on: "registry-list", kind: "odd-entries", entries });
    expect(await client.listRegistries()).toEqual({ kind: "complete", registries: [{ id: "r1", name: null }] });
    simulator.addFault({ on: "registry-get", kind: "answer", status: 200, body: { id: "r2", name: "x" } });
    expect(await client.getRegistry("r1")).toMatchObject({ kind: "unknown" });
  });

  it("opens private images to the pods that name it, and cannot be deleted while one does", async () => {
    const kit = await startKit({ launch: actorLauncher().launch, settings: { privateImages: ["example/"] } });
    const barred = await createPod(kit, NAME);
    await untilStatus(kit, barred, "ERROR");
    expect(await kit.client.readPodLog(barred, { source: "system", tail: 1 })).toMatchObject({
      lines: [{ text: expect.stringContaining("pulling example/worker:1 failed: pull access denied") }],
    });
    const made = await kit.client.createRegistry(LOGIN);
    const registry = made.kind === "created" ? made.registry.id : "";
    const pod = await kit.client.createPod({ ...podRequest(NAME), registry });
    await untilStatus(kit, pod.kind === "created" ? pod.pod.id : "", "RUNNING");
    expect(await kit.client.deleteRegistry(registry)).toMatchObject({ kind: "refused", status: 400 });
    expect(await kit.client.createPod({ ...podRequest(NAME), registry: "nosuchlogin" })).toMatchObject({
      kind: "refused",
      reason: "invalid",
      status: 404,
    });
    await kit.client.deletePod(pod.kind === "created" ? pod.pod.id : "");
    kit.simulator.addFault({ on: "registry-delete", kind: "error" });
    expect(await kit.client.deleteRegistry(registry)).toMatchObject({ kind: "unknown" });
    expect(await kit.client.deleteRegistry(registry)).toEqual({ kind: "accepted" });
  });
});
