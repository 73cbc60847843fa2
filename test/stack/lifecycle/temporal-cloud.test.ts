import { spawnSync } from "node:child_process";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { openConnections } from "../../../src/client/connections.ts";
import { createLightPodLauncher } from "../../../src/simulator/light-pod.ts";
import { connectToTemporal, ensureSearchAttributes } from "../../../src/worker/temporal-connection.ts";
import { runClient } from "../../kit/client.ts";
import { livingWorkers } from "../../kit/lifecycle.ts";
import { type SecureTemporal, startSecureTemporal } from "../../kit/temporal/secure-temporal.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";

const LACKS = spawnSync("openssl", ["version"]).status === 0 ? "" : " (skipped: openssl is not installed)";

describe.skipIf(LACKS !== "")(`a Temporal server behind TLS that lets nobody change its namespace${LACKS}`, () => {
  let cloud: SecureTemporal;
  let stack: TestStack;
  beforeAll(async () => {
    const notOffered = ["/ListSearchAttributes", "/AddSearchAttributes"];
    cloud = await startSecureTemporal(inject("shared").temporalAddress, { notOffered });
    stack = await startTestStack({ launch: createLightPodLauncher(), env: { MIN_ACTIVE_GPUS: "1" } });
  });
  afterAll(async () => {
    await stack?.close();
    await cloud?.close();
  });

  it.for(["withCertificate", "withApiKey"] as const)("lets process and command in %s", async (way) => {
    const env = cloud[way];
    const { connection, namespace } = await connectToTemporal(env);
    expect(await connection.workflowService.describeNamespace({ namespace })).toMatchObject({});
    await connection.close();
    const connections = openConnections(env);
    const { client } = await connections.temporal();
    expect(await client.workflowService.describeNamespace({ namespace })).toMatchObject({});
    await connections.close();
  });

  it("lets neither in without certificate and key, nor with an authority that it does not have", async () => {
    const { TEMPORAL_API_KEY: _, ...bare } = cloud.withApiKey;
    await expect(connectToTemporal(bare)).rejects.toMatchObject({ name: "TransportError" });
    await expect(openConnections({ ...bare, TEMPORAL_TLS: "true" }).temporal()).rejects.toThrow(
      /no answer from Temporal/,
    );
    const { TEMPORAL_TLS_SERVER_CA_CERT_PATH: __, ...untrusting } = cloud.withApiKey;
    await expect(connectToTemporal(untrusting)).rejects.toMatchObject({ name: "TransportError" });
  });

  it("is served: a process with the API key runs a pool, and names the command that adds the search attributes", async () => {
    const lines: string[] = [];
    stack.startTemporalWorker((line) => void lines.push(line), cloud.withApiKey);
    await stack.startPool();
    await expect.poll(async () => (await livingWorkers(stack)).map(({ status }) => status)).toEqual(["active"]);
    expect(lines.join("\n")).toContain(
      'tcld namespace search-attributes add --namespace default --search-attribute \\"GpuPool=Keyword\\"',
    );
    const status = await runClient(["status", "--json"], {
      cwd: stack.directory,
      env: { ...stack.env, ...cloud.withCertificate },
    });
    expect(status).toMatchObject({ exitCode: 0, stderr: "" });
  });

  it("is left as it is by temporal setup, which prints the commands for it", async () => {
    const answer = await runClient(["temporal", "setup", "--retention", "3d"], {
      cwd: stack.directory,
      env: { ...cloud.withApiKey },
    });
    expect(answer.exitCode).toBe(1);
    expect(answer.stderr).toContain("tcld namespace search-attributes add --namespace default");
    expect(answer.stderr).toContain("tcld namespace retention set --namespace default --retention-days 3");
    expect(cloud.refused.some((path) => path.endsWith("/ListSearchAttributes"))).toBe(true);
  });

  it("may show its search attributes and forbid to add those that it lacks: process and command say so", async () => {
    const forbidden = ["/AddSearchAttributes"];
    const calls = { forbidden, empty: ["/ListSearchAttributes"] };
    const strict = await startSecureTemporal(inject("shared").temporalAddress, calls);
    try {
      const { connection, namespace } = await connectToTemporal(strict.withApiKey);
      const lines: string[] = [];
      const logger = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
      await ensureSearchAttributes(connection, namespace, logger);
      await connection.close();
      expect(lines).toEqual([expect.stringMatching(/"level":40,.*tcld namespace search-attributes add/)]);
      expect(lines[0]).toContain("Without GpuPool, WorkerPhase, PodId (Keyword) workflows do not start");
      const setup = await runClient(["temporal", "setup"], { cwd: stack.directory, env: { ...strict.withApiKey } });
      expect(setup).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("Request unauthorized.") });
      expect(setup.stderr).toContain("tcld namespace search-attributes add --namespace default");
      expect(strict.refused.map((path) => path.split("/").at(-1))).toEqual([
        "AddSearchAttributes",
        "AddSearchAttributes",
      ]);
    } finally {
      await strict.close();
    }
  });
});
