import type { LookupAddress } from "node:dns";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sendNotification } from "../../src/activities/send-notification.ts";

const received: { readonly path: string; readonly signature: string }[] = [];
const server = createServer((request, response) => {
  received.push({ path: request.url ?? "", signature: String(request.headers["x-gpupool-signature"]) });
  response.statusCode = request.url === "/moved" ? 307 : 204;
  response.setHeader("location", "/ok");
  response.end();
});
let port = 0;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ({ port } = server.address() as AddressInfo);
});
beforeEach(() => void received.splice(0));
afterAll(() => void server.close());

const REFUSED = expect.stringContaining("not of the public internet");

async function send(url: string, allowsPrivate: boolean, found: readonly LookupAddress[] | null = null) {
  const notification = { id: "1", kind: "task.failed", payload: {}, createdAt: "", url, secret: "s", format: "json" };
  const options = { allowsPrivate, ...(found !== null && { resolve: async () => found }) };
  return await sendNotification(
    { ...notification, attempts: 1, endpointId: "e" } as never,
    new AbortController().signal,
    options,
  );
}

describe("a notification", () => {
  it("goes to no address of this machine, of a private network or of a cloud's metadata, however it is written", async () => {
    for (const host of [
      "127.0.0.1",
      "localhost",
      "2130706433",
      "0x7f.1",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "0.0.0.0",
      "169.254.169.254",
      "10.0.0.1",
      "100.64.0.1",
      "192.168.1.1",
      "[fd00::1]",
      "[fe80::1]",
      "[64:ff9b::7f00:1]",
    ]) {
      expect([host, await send(`http://${host}:${port}/ok`, false)]).toEqual([host, REFUSED]);
    }
    expect(received).toEqual([]);
  });

  it("goes to no private address that a public name resolves to", async () => {
    const found = [{ address: "127.0.0.1", family: 4 }];
    expect(await send(`http://hook.example:${port}/ok`, false, found)).toEqual(REFUSED);
    expect(received).toEqual([]);
  });

  it("connects to what was checked, and asks for the name no second time", async () => {
    expect(await send(`http://hook.example:${port}/ok`, true, [{ address: "127.0.0.1", family: 4 }])).toBeNull();
    expect(received.map(({ path }) => path)).toEqual(["/ok"]);
  });

  it("follows no redirect, and carries the time in its signature", async () => {
    expect(await send(`http://127.0.0.1:${port}/moved`, true)).toBe("HTTP 307");
    expect(received.map(({ path }) => path)).toEqual(["/moved"]);
    const [, time] = /^t=(\d+),v1=[0-9a-f]{64}$/.exec(received[0]!.signature) ?? [];
    expect(Math.abs(Date.now() / 1000 - Number(time))).toBeLessThan(300);
  });
});
