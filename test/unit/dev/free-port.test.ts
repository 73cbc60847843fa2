import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { describe, expect, it } from "vitest";
import { freePort, isListening, requireFreePort, startOnFreePort } from "../../../src/dev/servers/free-port.ts";

describe("a free port", () => {
  it("is the preferred one if that is free, else another one", async () => {
    const preferred = await freePort();
    expect(await freePort(preferred)).toBe(preferred);

    const server = createServer();
    await new Promise<void>((resolve) => server.listen(preferred, "127.0.0.1", resolve));
    const other = await freePort(preferred);
    expect(other).not.toBe(preferred);
    expect(other).toBeGreaterThan(0);
    expect([await isListening(preferred), await isListening(other)]).toEqual([true, false]);
    await expect(requireFreePort(preferred, "a test")).rejects.toThrow(
      `port ${preferred} on 127.0.0.1 cannot be used for a test`,
    );
    await expect(requireFreePort(other, "a test")).resolves.toBeUndefined();
    await new Promise((resolve) => server.close(resolve));
  });

  it("is another one for a server whose port is taken while it starts", async () => {
    const servers: Server[] = [];
    const listen = async (port: number) => {
      const server = createServer();
      await once(server.listen(port, "127.0.0.1"), "listening");
      servers.push(server);
    };
    const tried: number[] = [];
    const bound = await startOnFreePort(await freePort(), async (port) => {
      tried.push(port);
      if (tried.length < 3) {
        await listen(port);
      }
      await listen(port);
      return port;
    });
    expect(tried).toHaveLength(3);
    expect(bound).toBe(tried[2]);

    const broken = async () => await Promise.reject(new Error("no room on the disk"));
    await expect(startOnFreePort(undefined, broken)).rejects.toThrow("no room on the disk");
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  });
});
