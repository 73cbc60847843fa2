import { request as undiciRequest } from "undici";
import { describe, expect, it } from "vitest";
import { createPod, podRequest, raw, startKit, untilStatus } from "../../kit/simulator.ts";

const HELD = { settings: { provisioningMs: 60_000 } };

describe("the gatekeeper of the simulated provider", () => {
  it("refuses a request without a User-Agent with the proxy's HTML page (error code 1010)", async () => {
    const { simulator } = await startKit();
    const answer = await undiciRequest(`${simulator.apiUrl}/pods`);
    expect(answer.statusCode).toBe(403);
    expect(await answer.body.text()).toContain("error code: 1010");
  });

  it("answers every error as problem+json with a request id", async () => {
    const kit = await startKit();
    const answers = [
      [await fetch(`${kit.simulator.apiUrl}/pods`), 401],
      [await raw(kit, "GET", "/v2/pods/unknown"), 404],
      [await raw(kit, "GET", "/v2/no-such-route"), 404],
      [await raw(kit, "POST", "/v2/pods", {}), 422],
    ] as const;
    for (const [answer, status] of answers) {
      expect(answer.status).toBe(status);
      expect(answer.headers.get("content-type")).toContain("application/problem+json");
      expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
      expect(await answer.json()).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
    }
  });
});

describe("the validation of a create request", () => {
  const body = podRequest("main-00000001");
  const { image: _image, ...withoutImage } = body;
  const { gpu: _gpu, ...withoutGpu } = body;

  it.each([
    ["an unknown field", { ...body, imageName: "x" }, "body.imageName"],
    ["an unknown field further down", { ...body, gpu: { ...body.gpu, type: "x" } }, "body.gpu.type"],
    ["neither gpu nor cpu", withoutGpu, "body.gpu"],
    ["both gpu and cpu", { ...body, cpu: { id: "cpu3c", vcpuCount: 2 } }, "body.gpu"],
    [
      "a number of vCPUs that is no power of 2",
      { ...withoutGpu, cpu: { id: "cpu3c", vcpuCount: 6 } },
      "body.cpu.vcpuCount",
    ],
    ["neither image nor template", withoutImage, "body.image"],
    ["an empty name", { ...body, name: "" }, "body.name"],
    ["no disk at all", { ...body, disk: 0 }, "body.disk"],
    ["an environment value that is no text", { ...body, env: { SECRET: 12345678 } }, "body.env.SECRET"],
  ])("answers 422 to %s and names the field", async (_, invalid, location) => {
    const kit = await startKit();
    const answer = await raw(kit, "POST", "/v2/pods", invalid);
    expect(answer.status).toBe(422);
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({ errors: expect.arrayContaining([expect.objectContaining({ location })]) });
    expect(text).not.toContain("12345678");
    expect(kit.simulator.ledger().totals.pods).toBe(0);
  });

  it.each([
    ["an unknown GPU type", { ...body, gpu: { id: "ZX Spectrum", count: 1 } }, "unknown GPU type"],
    ["an unknown data center", { ...body, dataCenterIds: ["MOON-1"] }, "unknown data center"],
    ["a GPU without its count", { ...body, gpu: { id: body.gpu.id } }, "no instances currently available"],
  ])("answers 400 to %s", async (_, invalid, detail) => {
    const kit = await startKit();
    const answer = await raw(kit, "POST", "/v2/pods", invalid);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ detail: expect.stringContaining(detail) });
  });

  it("accepts a template in place of an image, and a CPU pod", async () => {
    const kit = await startKit(HELD);
    expect((await raw(kit, "POST", "/v2/pods", { ...withoutImage, templateId: "t1" })).status).toBe(201);
    const cpu = await raw(kit, "POST", "/v2/pods", { ...withoutGpu, cpu: { id: "cpu3c", vcpuCount: 4 } });
    expect(cpu.status).toBe(201);
    expect(await cpu.json()).toMatchObject({ cost: 0.12, cpu: { vcpuCount: 4 } });
  });
});

describe("lists", () => {
  it("refuse foreign cursors and limits out of range, and ignore unknown parameters", async () => {
    const kit = await startKit(HELD);
    await createPod(kit, "main-00000001");
    for (const query of ["cursor=Zm9yZWlnbjox", "limit=0", "limit=1001", "limit=many"]) {
      expect((await raw(kit, "GET", `/v2/pods?${query}`)).status).toBe(422);
    }
    const all = await raw(kit, "GET", "/v2/pods?name=something-else&desiredStatus=EXITED");
    expect(await all.json()).toMatchObject({ pods: [{ name: "main-00000001" }], pagination: { hasNextPage: false } });
  });
});

describe("actions", () => {
  it("are refused with 409 when the pod's status does not allow them", async () => {
    const kit = await startKit(HELD);
    const id = await createPod(kit, "main-00000001");
    const act = (action: string) => raw(kit, "POST", `/v2/pods/${id}/action`, { action });
    expect((await act("restart")).status).toBe(409);
    expect((await act("start")).status).toBe(409);
    expect(await (await act("stop")).json()).toMatchObject({
      status: "EXITED",
      cost: 0,
      actions: ["start", "terminate"],
    });
    expect((await act("stop")).status).toBe(409);
    expect(await (await act("start")).json()).toMatchObject({ status: "PROVISIONING", cost: 0.69 });
    expect((await act("terminate")).status).toBe(204);
    expect((await act("explode")).status).toBe(404);
    expect(kit.simulator.ledger().pods[0]).toMatchObject({ endCause: "terminated", live: false });
  });

  it("allow a pod, with the key in its environment, to read and delete itself and nothing else", async () => {
    let keyOfFirst = "";
    const kit = await startKit({
      launch: (pod) => {
        keyOfFirst ||= pod.env["RUNPOD_API_KEY"] ?? "";
        throw new Error("this test launches no process");
      },
    });
    const first = await createPod(kit, "main-00000001");
    await untilStatus(kit, first, "ERROR");
    const second = await createPod(kit, "main-00000002");
    const asFirst = (method: string, path: string, body?: unknown) =>
      fetch(`${kit.simulator.apiUrl}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${keyOfFirst}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    const refused = await Promise.all([
      asFirst("GET", `/pods/${second}`),
      asFirst("GET", "/pods"),
      asFirst("GET", `/pods/${first}/logs`),
      asFirst("POST", "/pods", podRequest("main-00000003")),
      asFirst("POST", `/pods/${first}/action`, { action: "start" }),
      asFirst("DELETE", `/pods/${second}`),
    ]);
    expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 403));
    expect(refused[0]?.headers.get("content-type")).toContain("application/problem+json");
    expect(kit.simulator.ledger().pods.map(({ id, live }) => [id, live])).toEqual([
      [first, true],
      [second, true],
    ]);

    const shown = await (await asFirst("GET", `/pods/${first}`)).text();
    const all = await (await raw(kit, "GET", "/v2/pods")).text();
    const watched = JSON.stringify([kit.simulator.ledger(), kit.simulator.requests()]);
    const log = await (await raw(kit, "GET", `/v2/pods/${first}/logs?source=system`)).text();
    expect(keyOfFirst.length).toBeGreaterThan(20);
    for (const text of [shown, all, watched, log]) {
      expect(text).toMatch(/main-00000001|this test launches no process/);
      expect(text).not.toContain(keyOfFirst);
    }

    expect((await asFirst("DELETE", `/pods/${first}`)).status).toBe(204);
    expect(kit.simulator.ledger().totals.live).toBe(1);
  });
});

describe("the control routes", () => {
  it("change settings, and refuse unknown ones", async () => {
    const kit = await startKit();
    expect(await (await raw(kit, "PUT", "/_sim/settings", { startingMs: 77 })).json()).toMatchObject({
      startingMs: 77,
    });
    expect(kit.simulator.settings()).toMatchObject({ startingMs: 77, provisioningMs: 0 });
    expect((await raw(kit, "PUT", "/_sim/settings", { startingSec: 1 })).status).toBe(422);
    expect(await (await raw(kit, "GET", "/_sim/settings")).json()).toEqual(kit.simulator.settings());
  });

  it("apply faults in order, as often as requested, each to its own kind of request", async () => {
    const kit = await startKit(HELD);
    const add = (fault: unknown) => raw(kit, "POST", "/_sim/faults", fault);
    expect((await add({ on: "create", kind: "no-funds", times: 2 })).status).toBe(201);
    expect((await add({ on: "create", kind: "no-capacity" })).status).toBe(201);
    expect((await add({ on: "list", kind: "error" })).status).toBe(201);
    expect((await add({ on: "create", kind: "bad-weather" })).status).toBe(422);
    const create = async () => (await raw(kit, "POST", "/v2/pods", podRequest("main-00000001"))).status;
    expect([await create(), await create(), await create(), await create()]).toEqual([402, 402, 400, 201]);
    expect((await raw(kit, "GET", "/v2/pods")).status).toBe(500);
    expect((await raw(kit, "GET", "/v2/pods")).status).toBe(200);
  });

  it("show odd fields of a pod and odd entries of a list, and can be cleared", async () => {
    const kit = await startKit(HELD);
    await raw(kit, "POST", "/_sim/faults", {
      on: "create",
      kind: "odd-fields",
      fields: { name: null, cost: 0 },
      times: 9,
    });
    await raw(kit, "POST", "/_sim/faults", { on: "list", kind: "odd-entries", entries: [null, { id: 7 }], times: 9 });
    const odd = (await (await raw(kit, "POST", "/v2/pods", podRequest("main-00000001"))).json()) as { id: string };
    const shown = { id: odd.id, name: null, cost: 0, status: "PROVISIONING" };
    expect(odd).toMatchObject(shown);
    expect(await (await raw(kit, "GET", "/v2/pods")).json()).toMatchObject({ pods: [null, { id: 7 }, shown] });
    expect((await raw(kit, "DELETE", "/_sim/faults")).status).toBe(204);
    expect(await (await raw(kit, "GET", "/v2/pods")).json()).toMatchObject({ pods: [shown] });
    const plain = await (await raw(kit, "POST", "/v2/pods", podRequest("main-00000002"))).json();
    expect(plain).toMatchObject({ name: "main-00000002", cost: 0.69 });
    expect(kit.simulator.ledger().pods[0]).toMatchObject({ name: "main-00000001", costPerHour: 0.69 });
  });

  it("list each request with its status and pod name, and never an environment value", async () => {
    const kit = await startKit(HELD);
    await createPod(kit, "main-00000001", { TOKEN: "very-secret-token" });
    const text = await (await raw(kit, "GET", "/_sim/requests")).text();
    expect(JSON.parse(text)).toEqual([
      { timeMs: expect.any(Number), method: "POST", path: "/v2/pods", status: 201, name: "main-00000001" },
    ]);
    const ledger = await (await raw(kit, "GET", "/_sim/ledger")).text();
    expect(ledger).toContain("main-00000001");
    expect(text + ledger).not.toContain("very-secret-token");
  });

  it("answer 404 when there is no pod to kill or to make vanish", async () => {
    const kit = await startKit();
    expect((await raw(kit, "POST", "/_sim/pods/unknown/kill")).status).toBe(404);
    expect((await raw(kit, "POST", "/_sim/pods/unknown/vanish")).status).toBe(404);
  });
});

describe("the catalog", () => {
  it("lists GPU types with prices, and availability only with both parameters that request it", async () => {
    const kit = await startKit();
    const { gpus } = (await (await raw(kit, "GET", "/v2/catalog/gpus")).json()) as { gpus: Record<string, unknown>[] };
    expect(gpus).toContainEqual(
      expect.objectContaining({ id: "NVIDIA GeForce RTX 4090", price: { secure: 0.69, community: 0.34 } }),
    );
    expect(gpus[0]).not.toHaveProperty("availability");
    expect((await raw(kit, "GET", "/v2/catalog/gpus?include=AVAILABILITY")).status).toBe(400);
    const full = await raw(kit, "GET", "/v2/catalog/gpus?include=AVAILABILITY&product=POD");
    expect(await full.json()).toMatchObject({
      gpus: expect.arrayContaining([expect.objectContaining({ availability: "HIGH" })]),
    });
  });
});
