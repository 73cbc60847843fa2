import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { openConnections } from "../../../src/client/connections.ts";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { poolSignals } from "../../../src/contract/pool-api.ts";

const GRPC = { ":status": 200, "content-type": "application/grpc" };
/** A gRPC frame of a message without fields. */
const EMPTY_MESSAGE = Buffer.alloc(5);

/** As Temporal does when it cannot lock the workflow in time. Nothing was done then. */
function refuseAsBusy(stream: ServerHttp2Stream): void {
  stream.respond({ ...GRPC, "grpc-status": "8", "grpc-message": "Workflow is busy." }, { endStream: true });
}

function accept(stream: ServerHttp2Stream): void {
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.respond(GRPC, { waitForTrailers: true });
  stream.end(EMPTY_MESSAGE);
}

/** A Temporal server that refuses the first signal and takes everything else. */
async function startBusyServer() {
  const signals: string[] = [];
  const server = createServer();
  server.on("stream", (stream, headers) => {
    const path = String(headers[":path"]);
    stream.on("error", () => undefined).resume();
    if (path.endsWith("/SignalWorkflowExecution") && signals.push(path) === 1) {
      refuseAsBusy(stream);
    } else {
      accept(stream);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, signals };
}

it("a call to Temporal about a workflow that is busy is made again until it is taken", async () => {
  const { address, signals } = await startBusyServer();
  const connections = openConnections({ TEMPORAL_ADDRESS: address });
  onTestFinished(() => connections.close());
  const { client, within } = await connections.temporal();
  await within(15_000, () => client.workflow.getHandle(poolWorkflowId("main")).signal(poolSignals.pause));
  expect(signals).toHaveLength(2);
});
