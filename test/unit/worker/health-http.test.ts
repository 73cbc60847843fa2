import { createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { ConfigError } from "../../../src/config/config.ts";
import { startOnFreePort } from "../../../src/dev/servers/free-port.ts";
import { type Health, openHealth } from "../../../src/worker/health/health.ts";

describe("the health server", () => {
  let health: Health | undefined;
  afterEach(async () => {
    await health?.close();
    health = undefined;
  });

  async function open(): Promise<string> {
    return await startOnFreePort(undefined, async (port) => {
      health = await openHealth({ host: "127.0.0.1", port });
      return `http://127.0.0.1:${port}`;
    });
  }

  it("answers at once that the process lives, and that it is not ready while it waits for its services", async () => {
    const url = await open();
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    const ready = await fetch(`${url}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ ready: false, parts: { database: { ready: false } } });
  });

  it("becomes ready with the sightings that the clients report, once each of its Temporal workers polls", async () => {
    const url = await open();
    (["temporal", "database", "provider"] as const).forEach((service) => health!.seen(service));
    const running = { getState: () => "RUNNING" };
    let made = () => undefined as void;
    const making = new Promise<void>((resolve) => (made = resolve));
    const ofWorkflows = health!.polls(
      "gpu-pool",
      making.then(() => running),
    );
    await health!.polls("gpu-pool-runpod", Promise.resolve(running));
    expect(await (await fetch(`${url}/readyz`)).json()).toMatchObject({
      ready: false,
      parts: { polling: { reason: "the Temporal worker of task queue gpu-pool is being made" } },
    });
    made();
    await ofWorkflows;
    const ready = await fetch(`${url}/readyz?verbose`);
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({ ready: true });
  });

  it("serves metrics of the process, reads only, and names its paths", async () => {
    const url = await open();
    const metrics = await fetch(`${url}/metrics`);
    expect(metrics.headers.get("content-type")).toContain("version=0.0.4");
    expect(await metrics.text()).toMatch(/^process_resident_memory_bytes \d+/m);
    const head = await fetch(`${url}/healthz`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect((await fetch(`${url}/healthz`, { method: "POST" })).status).toBe(405);
    for (const path of ["/", "/constructor", "/readyz/"]) {
      const elsewhere = await fetch(`${url}${path}`);
      expect([elsewhere.status, await elsewhere.text()]).toEqual([
        404,
        "nothing here; there are /healthz, /readyz, /metrics\n",
      ]);
    }
  });

  it("ends with connections open", async () => {
    const url = await open();
    await fetch(`${url}/healthz`);
    await health!.close();
    await expect(fetch(`${url}/healthz`)).rejects.toThrow("fetch failed");
    health = undefined;
  });

  it("reports a taken port, a foreign address and an unknown host as errors of the configuration", async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, "127.0.0.1", () => resolve((other.address() as { port: number }).port));
    });
    const failure = (host: string) => openHealth({ host, port }).catch((error: unknown) => error);
    const taken = await failure("127.0.0.1");
    expect(taken).toBeInstanceOf(ConfigError);
    expect((taken as ConfigError).message).toBe(
      "The environment has a problem:\n" +
        `  - HEALTH_PORT=${port}: cannot listen on 127.0.0.1, port ${port} (EADDRINUSE): another program listens there: ` +
        "end it, or set another HEALTH_PORT",
    );
    expect(await failure("192.0.2.1")).toMatchObject({
      name: "ConfigError",
      message: expect.stringContaining("set another HEALTH_HOST"),
    });
    for (const host of ["no-such-host.invalid", "fe80::1", "http://127.0.0.1"]) {
      expect(await failure(host)).toMatchObject({
        name: "ConfigError",
        message: expect.stringContaining(`HEALTH_HOST=${host}: cannot listen on`),
      });
    }
    other.close();
  });
});
