import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { openConnections } from "../../../src/client/connections.ts";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { poolSignals } from "../../../src/contract/pool-api.ts";
import { runClient } from "../../kit/client.ts";

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

/** A configuration file of Temporal's own tools with one profile. */
async function configFile(profile: string, address: string) {
  const folder = await mkdtemp(join(tmpdir(), "temporal-config-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "temporal.toml");
  await writeFile(file, `[profile.${profile}]\naddress = "${address}"\nnamespace = "night"\n`);
  return { cwd: folder, env: { TEMPORAL_CONFIG_FILE: file } };
}

it("a profile of Temporal's configuration file says which server, unless a variable does", async () => {
  const { address } = await startBusyServer();
  const { cwd, env } = await configFile("shared", address);
  const connections = openConnections({ ...env, TEMPORAL_PROFILE: "shared" });
  onTestFinished(() => connections.close());
  expect(await connections.temporal()).toMatchObject({ namespace: "night" });

  const named = await runClient(["temporal", "setup", "--profile", "shared"], {
    cwd,
    env: { ...env, TEMPORAL_ADDRESS: "127.0.0.1:1" },
  });
  expect(named).toMatchObject({
    exitCode: 4,
    stderr: expect.stringContaining("no answer from Temporal at 127.0.0.1:1"),
  });
});

it("a profile that the file does not have is a mistake of the command line", async () => {
  const { cwd, env } = await configFile("shared", "127.0.0.1:1");
  const { exitCode, stderr } = await runClient(["--profile", "sharde", "temporal", "setup"], { cwd, env });
  expect({ exitCode, lines: stderr.split("\n") }).toEqual({
    exitCode: 2,
    lines: [
      expect.stringMatching(/^gpu-pool: how to reach Temporal cannot be read: .*sharde/),
      expect.stringMatching(/^ {2}Check --profile /),
    ],
  });
});
