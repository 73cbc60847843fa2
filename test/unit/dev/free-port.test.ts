import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { freePort, isListening, requireFreePort } from "../../../src/dev/servers/free-port.ts";

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
});
