import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, Connection } from "@temporalio/client";
import { pino } from "pino";
import { request } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../../src/dev/servers/free-port.ts";
import { type Guardian, startGuardian } from "../../../src/process/guardian.ts";
import { findTemporalBinary } from "../../../src/dev/servers/temporal-binary.ts";
import { startTemporalServer } from "../../../src/dev/servers/temporal-server.ts";

const logger = pino({ level: "silent" });

describe("the embedded Temporal server", () => {
  let dir: string;
  let guardian: Guardian;
  let binary: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "temporal-test-"));
    guardian = await startGuardian({ logger });
    binary = (await findTemporalBinary({ logger })).path;
  }, 600_000);
  afterAll(async () => {
    await guardian.close();
    await rm(dir, { recursive: true, force: true });
  });

  const listed = async (address: string, namespace: string): Promise<string[]> => {
    const connection = await Connection.connect({ address });
    const client = new Client({ connection, namespace });
    try {
      const ids: string[] = [];
      for await (const { workflowId } of client.workflow.list()) {
        ids.push(workflowId);
      }
      return ids;
    } finally {
      await connection.close();
    }
  };

  it("keeps its workflows over a kill -9, on another port and with one more search attribute", async () => {
    const dataDir = join(dir, "state");
    const common = { guardian, binary, dataDir, namespace: "gpu-pool", logger };
    const first = await startTemporalServer({
      ...common,
      port: await freePort(),
      searchAttributes: { GpuPool: "Keyword" },
    });
    expect(first.uiUrl).toBeNull();
    const connection = await Connection.connect({ address: first.address });
    const client = new Client({ connection, namespace: "gpu-pool" });
    await client.workflow.start("never", { workflowId: "kept", taskQueue: "nobody" });
    await connection.close();
    process.kill(first.process.pid, "SIGKILL");
    await first.process.exited;

    const uiPort = await freePort();
    const second = await startTemporalServer({
      ...common,
      port: await freePort(),
      uiPort,
      searchAttributes: { GpuPool: "Keyword", WorkerPhase: "Keyword" },
    });
    await expect.poll(() => listed(second.address, "gpu-pool")).toEqual(["kept"]);
    expect(second.uiUrl).toBe(`http://127.0.0.1:${uiPort}`);
    await expect
      .poll(() => request(second.uiUrl!).then(async ({ statusCode, body }) => (await body.dump(), statusCode)))
      .toBe(200);
    await second.process.stop();
  });

  it("quotes the server's output when it cannot start", async () => {
    const dataDir = join(dir, "broken");
    await mkdir(join(dataDir, "temporal.db"), { recursive: true });
    const port = await freePort();
    const searchAttributes = { GpuPool: "Keyword" } as const;
    await expect(startTemporalServer({ guardian, binary, dataDir, port, searchAttributes, logger })).rejects.toThrow(
      new RegExp(`did not come up on 127.0.0.1:${port} \\(it ended\\).*\n.*database`),
    );
  });
});
