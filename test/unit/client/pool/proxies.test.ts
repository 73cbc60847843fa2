import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished, vi } from "vitest";
import { openConnections } from "../../../../src/client/connections.ts";

/** A Temporal server that answers every call with an empty message. */
async function startServer(): Promise<string> {
  const server = createServer();
  server.on("stream", (stream) => {
    stream.on("error", () => undefined).resume();
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.end(Buffer.alloc(5));
  });
  server.on("session", (session) => session.on("error", () => undefined));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Nothing listens there. */
function setProxy(...variables: readonly string[]): void {
  for (const name of variables) {
    vi.stubEnv(name, "http://127.0.0.1:1");
  }
  onTestFinished(() => void vi.unstubAllEnvs());
}

it("a Temporal server on this machine is asked without the proxy of the environment", async () => {
  const address = await startServer();
  setProxy("http_proxy", "https_proxy", "grpc_proxy");
  const connections = openConnections({ TEMPORAL_ADDRESS: address });
  onTestFinished(() => connections.close());
  await expect(connections.temporal()).resolves.toMatchObject({ namespace: "default" });
});

it("another one is asked through it, and the error names the variable", async () => {
  setProxy("http_proxy");
  await expect(
    openConnections({ ...process.env, TEMPORAL_ADDRESS: "temporal.invalid:7233" }).temporal(),
  ).rejects.toThrow("no answer from Temporal at temporal.invalid:7233, asked through the proxy of http_proxy");
});

it("an address with a scheme is refused before any call", async () => {
  await expect(openConnections({ TEMPORAL_ADDRESS: "http://127.0.0.1:7233" }).temporal()).rejects.toThrow(
    "TEMPORAL_ADDRESS=http://127.0.0.1:7233: expected host:port",
  );
});
