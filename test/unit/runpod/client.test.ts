import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { Agent, buildConnector } from "undici";
import { describe, expect, it, onTestFinished } from "vitest";
import { createRunpodClient } from "../../../src/runpod/client.ts";
import type { CreatePodRequest } from "../../../src/runpod/types.ts";
import { API_KEY, clientFor, POD, script, type Scripted, serve } from "../../kit/runpod-answers.ts";

const REQUEST: CreatePodRequest = {
  name: "main-1",
  image: "example/worker:1",
  gpu: { id: "gpu", count: 1 },
  cloud: "SECURE",
  disk: 20,
  env: { WORKER_TOKEN: "token-of-the-worker" },
};

describe("every request", () => {
  it("carries the key, a User-Agent and, for a create request, the given body", async () => {
    let seen: unknown;
    const client = await serve((request, response) => {
      request.setEncoding("utf8");
      let body = "";
      request.on("data", (chunk: string) => (body += chunk));
      request.on("end", () => {
        const { authorization, "user-agent": agent, "content-type": type } = request.headers;
        seen = { url: request.url, authorization, agent, type, body: JSON.parse(body) as unknown };
        response.writeHead(201).end(JSON.stringify(POD));
      });
    });
    await client.createPod(REQUEST);
    expect(seen).toEqual({
      url: "/v2/pods",
      authorization: `Bearer ${API_KEY}`,
      agent: "gpu-pool-test/1",
      type: "application/json",
      body: REQUEST,
    });
  });

  it("escapes the pod id, and is not sent if the id is empty", async () => {
    const { client, seen } = await script({ status: 404, body: {} });
    await client.getPod("../catalog?x");
    await client.deletePod("a/b");
    expect(seen).toEqual(["GET /v2/pods/..%2Fcatalog%3Fx", "DELETE /v2/pods/a%2Fb"]);
    expect(await client.getPod("")).toMatchObject({ kind: "unknown" });
    expect(await client.deletePod("")).toMatchObject({ kind: "unknown" });
    expect(seen).toHaveLength(2);
  });
});

describe("a create request", () => {
  it.each([
    ["a 201 that is no JSON", { status: 201, body: "created" }],
    ["a 201 without a pod id", { status: 201, body: { name: "main-1", status: "PROVISIONING" } }],
    ["an empty 200", { status: 200, body: "" }],
    ["a 202", { status: 202, body: POD }],
    ["a redirect", { status: 307, body: "", headers: { location: "/elsewhere" } }],
    ["a 408", { status: 408, body: {} }],
    ["a 409", { status: 409, body: {} }],
    ["a 503 that claims a stock-out", { status: 503, body: { detail: "There are no instances currently available" } }],
    ["an HTML 403", { status: 403, body: "<html>error code: 1010</html>", headers: { "content-type": "text/html" } }],
    ["an HTML 524", { status: 524, body: "<!doctype html><title>A timeout occurred</title>" }],
  ] as [string, Scripted][])("is ambiguous after %s, and is not repeated", async (_, answer) => {
    const { client, seen } = await script(answer);
    expect(await client.createPod(REQUEST)).toMatchObject({
      kind: "ambiguous",
      detail: expect.stringContaining("HTTP"),
    });
    expect(seen).toEqual(["POST /v2/pods"]);
  });

  it("is ambiguous when the connection breaks during the answer", async () => {
    const client = await serve((_request, response) => {
      response.writeHead(201, { "content-length": "1000" });
      response.write('{"id":"p1",', () => response.destroy());
    });
    expect(await client.createPod(REQUEST)).toMatchObject({ kind: "ambiguous" });
  });

  it("is refused as unreachable when no process listens or the host is unknown", async () => {
    const probe = createTcpServer();
    await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
    const { port } = probe.address() as AddressInfo;
    await new Promise((resolve) => probe.close(resolve));
    for (const apiUrl of [
      `http://127.0.0.1:${port}/v2`,
      `http://localhost:${port}/v2`,
      "http://no-such-host.invalid",
    ]) {
      expect(await clientFor(apiUrl).createPod(REQUEST)).toMatchObject({
        kind: "refused",
        reason: "unreachable",
        status: null,
        detail: expect.stringContaining('creating pod "main-1"'),
      });
    }
  });

  it("is refused as unreachable when TLS fails, because no byte of it was sent", async () => {
    const server = createTcpServer((socket) => socket.on("error", () => undefined).end("this is not TLS"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const client = clientFor(`https://127.0.0.1:${(server.address() as AddressInfo).port}/v2`);
    expect(await client.createPod(REQUEST)).toMatchObject({ kind: "refused", reason: "unreachable" });
  });

  it("is refused as unreachable when no connection is made in time", async () => {
    const sockets = new Set<Socket>();
    const server = createTcpServer((socket) => void sockets.add(socket.on("error", () => undefined)));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      for (const socket of sockets) {
        socket.destroy();
      }
      server.close();
    });
    // With https the TLS handshake never ends, because the server sends nothing.
    const client = clientFor(`https://127.0.0.1:${(server.address() as AddressInfo).port}/v2`, 300);
    expect(await client.createPod(REQUEST)).toMatchObject({ kind: "refused", reason: "unreachable", status: null });
  });

  it("is refused in time while its connection is not made, and never sent when that is made later", async () => {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(request.url ?? "");
      response.writeHead(201).end(JSON.stringify(POD));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const connect = buildConnector({});
    let connectLate: () => Promise<void> = () => Promise.reject(new Error("nobody connected"));
    const dispatcher = new Agent({
      connect: (options, callback) => {
        connectLate = () =>
          new Promise((resolve) => {
            connect(options, (...answer) => {
              callback(...answer);
              resolve();
            });
          });
      },
    });
    onTestFinished(async () => {
      await dispatcher.destroy();
      server.close();
    });
    const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2`;
    const client = createRunpodClient({ apiUrl, apiKey: API_KEY, userAgent: "test/1", timeoutMs: 50, dispatcher });
    expect(await client.createPod(REQUEST)).toMatchObject({ kind: "refused", reason: "unreachable", status: null });
    await connectLate();
    const { status } = await fetch(`${apiUrl}/after`);
    expect({ status, seen }).toEqual({ status: 201, seen: ["/v2/after"] });
  });

  it("is refused and not sent when it was cancelled before", async () => {
    const { client, seen } = await script({ status: 201, body: POD });
    const outcome = await client.createPod(REQUEST, { signal: AbortSignal.abort() });
    expect(outcome).toMatchObject({ kind: "refused", reason: "unreachable" });
    expect(seen).toEqual([]);
  });

  it("keeps the key and all environment values out of its details", async () => {
    const detail = `cannot use token-of-the-worker with ${API_KEY}`;
    const { client } = await script({ status: 422, body: { detail } }, { status: 500, body: { detail } });
    for (const _status of [422, 500]) {
      const text = JSON.stringify(await client.createPod(REQUEST));
      expect(text).toContain("cannot use [redacted] with [redacted]");
    }
  });

  it("names the longest wait of all exhausted windows after a 429", async () => {
    const headers = { "retry-after": "3", ratelimit: '"minute";r=0;t=12, "hour";r=0;t=48' };
    const { client } = await script({ status: 429, body: {}, headers });
    expect(await client.createPod(REQUEST)).toMatchObject({ reason: "rate_limited", retryAfterSec: 48 });
  });

  it.each([201, 200])(
    "invariant 17: is created after a %i with an id, however odd the other fields are",
    async (status) => {
      const body = {
        id: "p1",
        name: 7,
        status: {},
        cost: { usd: 1 },
        createdAt: ["x"],
        gpu: 1,
        runtime: "up",
        env: [1],
      };
      const { client } = await script({ status, body });
      expect(await client.createPod(REQUEST)).toEqual({
        kind: "created",
        pod: {
          id: "p1",
          name: null,
          status: "UNKNOWN",
          gpuTypeId: null,
          costPerHour: null,
          createdAt: null,
          startedAt: null,
          uptimeSec: null,
          env: null,
        },
      });
    },
  );

  it("invariant 17: makes storable text of a refusal", async () => {
    const { client } = await script({ status: 400, body: { detail: `no \u0000 \ud800 ${"🎬".repeat(600)}` } });
    const outcome = await client.createPod(REQUEST);
    expect(outcome).toMatchObject({ kind: "refused", detail: expect.stringMatching(/no \ufffd \ufffd 🎬🎬/u) });
    expect(outcome.kind === "refused" && outcome.detail).not.toMatch(/\0|[\ud800-\udfff]/u);
  });
});

describe("reading a pod", () => {
  it("accepts new and missing fields, and distinguishes unknown from zero and empty", async () => {
    const { client } = await script(
      { status: 200, body: { ...POD, status: "MIGRATING", novelty: [1] } },
      {
        status: 200,
        body: {
          ...POD,
          gpu: { id: "gpu" },
          cost: "0.69",
          runtime: { uptime: 7 },
          createdAt: "2026-11-22T10:00:00Z",
          env: {},
        },
      },
    );
    const bare = { gpuTypeId: null, costPerHour: null, createdAt: null, startedAt: null, uptimeSec: null, env: null };
    expect(await client.getPod("p1")).toEqual({ kind: "found", pod: { ...POD, status: "MIGRATING", ...bare } });
    expect(await client.getPod("p1")).toMatchObject({
      pod: { gpuTypeId: "gpu", costPerHour: 0.69, uptimeSec: 7, createdAt: "2026-11-22T10:00:00Z", env: {} },
    });
  });

  it.each([
    ["an HTML 404 of a proxy", { status: 404, body: "<html></html>" }],
    ["another pod's data", { status: 200, body: { ...POD, id: "p2" } }],
    ["a pod without status", { status: 200, body: { id: "p1", name: "main-1" } }],
    ["a 410", { status: 410, body: {} }],
  ] as [string, Scripted][])("is unknown after %s", async (_, answer) => {
    const { client } = await script(answer);
    expect(await client.getPod("p1")).toMatchObject({ kind: "unknown" });
    expect(await client.deletePod("p1")).toMatchObject({ kind: answer.status === 200 ? "accepted" : "unknown" });
  });

  it("never quotes the body of a pod that it cannot read", async () => {
    const { client } = await script({ status: 200, body: { id: 7, env: { TOKEN: "token-of-the-worker" } } });
    const outcome = await client.getPod("p1");
    expect(outcome).toMatchObject({ kind: "unknown", detail: expect.stringContaining("id (invalid_type)") });
    expect(JSON.stringify(outcome)).not.toContain("token-of-the-worker");
  });
});

describe("deleting a pod", () => {
  it.each(["3600", "1e300", "Fri, 31 Dec 2100 00:00:00 GMT"])(
    "invariant 17: names a wait of a minute at most after Retry-After %s",
    async (value) => {
      const { client } = await script({ status: 503, body: {}, headers: { "retry-after": value } });
      expect(await client.deletePod("p1")).toMatchObject({ kind: "unknown", retryAfterSec: 60 });
    },
  );
});

describe("building a client", () => {
  it("names the address, key or User-Agent that cannot work, without showing the key", () => {
    const good = { apiUrl: "http://127.0.0.1/v2", apiKey: API_KEY, userAgent: "test" };
    expect(() => createRunpodClient({ ...good, apiUrl: "api.runpod.io" })).toThrow(/"api.runpod.io" is no URL/);
    expect(() => createRunpodClient({ ...good, userAgent: " " })).toThrow(/User-Agent/);
    expect(() => createRunpodClient({ ...good, apiKey: "secret key\n" })).toThrow(
      /^(?!.*secret).*empty or holds blanks/,
    );
  });
});
