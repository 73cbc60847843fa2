import { mkdtemp, readFile, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, Connection } from "@temporalio/client";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { freePort, startOnFreePort } from "../../src/dev/servers/free-port.ts";
import { startTemporalServer, type TemporalServer } from "../../src/dev/servers/temporal-server.ts";
import { type Guardian, startGuardian } from "../../src/process/guardian.ts";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import { type Health, openHealth } from "../../src/worker/health/health.ts";
import { HOSTILE_PAGES, send } from "../kit/security/web-page.ts";
import { actorLauncher } from "../kit/simulator.ts";

const WORKFLOWS = "/api/v1/namespaces/default/workflows";
const LISTENING = "0A";
const LOOPBACK = "0100007F";

let guardian: Guardian;
let temporal: TemporalServer;
let client: Client;
let simulator: Simulator;
let health: Health;
let healthUrl: string;
let directory: string;

beforeAll(async () => {
  const logger = pino({ level: "silent" });
  directory = await mkdtemp(join(tmpdir(), "gpu-pool-pages-"));
  guardian = await startGuardian({ logger });
  const [uiPort, port] = [await freePort(), await freePort()];
  const binary = inject("shared").temporalBinary;
  temporal = await startTemporalServer({ guardian, binary, port, uiPort, searchAttributes: {}, logger });
  client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
  simulator = await startSimulator({ launch: actorLauncher().launch, dataDir: directory });
  healthUrl = await startOnFreePort(undefined, async (healthPort) => {
    health = await openHealth({ host: "127.0.0.1", port: healthPort });
    return `http://127.0.0.1:${healthPort}`;
  });
});
afterAll(async () => {
  await client?.connection.close();
  await health?.close();
  await simulator?.close();
  await guardian?.close();
  await rm(directory, { recursive: true, force: true });
});

/** The ports of 127.0.0.1 at which a process listens. A page can scan these, and no other address. */
async function portsOf(pid: number): Promise<number[]> {
  const files = await readdir(`/proc/${pid}/fd`);
  const links = await Promise.all(files.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")));
  const lines = (await readFile(`/proc/${pid}/net/tcp`, "utf8")).trim().split("\n").slice(1);
  return lines.flatMap((line) => {
    const [, local = "", , state, , , , , , inode] = line.trim().split(/\s+/);
    const [address, port = ""] = local.split(":");
    return state === LISTENING && address === LOOPBACK && links.includes(`socket:[${inode}]`)
      ? [parseInt(port, 16)]
      : [];
  });
}

async function workflowIds(): Promise<string[]> {
  const ids: string[] = [];
  for await (const { workflowId } of client.workflow.list()) {
    ids.push(workflowId);
  }
  return ids;
}

/** What a page can send without asking first: the type of its body is one that forms have. */
function startPool(id: string, headers: Record<string, string>) {
  const workflow = { workflowType: { name: "gpuPool" }, taskQueue: { name: "gpu-pool" }, input: [{ pool: id }] };
  return { method: "POST", headers: { "content-type": "text/plain", ...headers }, body: JSON.stringify(workflow) };
}

describe.skipIf(process.platform !== "linux")("a web page that finds Temporal's ports", () => {
  it("starts no workflow at any of them, and reads none", async () => {
    const ports = [...(await portsOf(temporal.process.pid)), Number(new URL(temporal.uiUrl!).port)];
    expect(ports.length).toBeGreaterThan(3);
    for (const port of ports) {
      for (const [page, headersAt] of Object.entries(HOSTILE_PAGES)) {
        const at = `http://127.0.0.1:${port}${WORKFLOWS}`;
        const id = `evil-${port}-${Object.keys(HOSTILE_PAGES).indexOf(page)}`;
        const headers = headersAt(String(port));
        // A server that speaks gRPC alone closes the connection.
        const answers = [send(`${at}/${id}`, startPool(id, headers)), send(at, { headers })];
        for (const answer of await Promise.allSettled(answers)) {
          const status = answer.status === "fulfilled" ? answer.value.status : 0;
          expect({ page, port, ok: status >= 200 && status < 400 }).toEqual({ page, port, ok: false });
        }
      }
    }
    expect(await workflowIds()).toEqual([]);
  });

  it("is refused by the door of the Web UI, which serves people and their browsers", async () => {
    const { port } = new URL(temporal.uiUrl!);
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`]) {
      const headers = { host, origin: `http://${host}` };
      await expect.poll(async () => (await send(temporal.uiUrl!, { headers })).status).toBe(200);
      expect((await send(`${temporal.uiUrl}/api/v1/namespaces`, { headers })).status).toBe(200);
    }
    for (const headersAt of Object.values(HOSTILE_PAGES)) {
      expect((await send(temporal.uiUrl!, { headers: headersAt(port) })).status).toBe(403);
    }
  });
});

describe("a web page that finds the simulator's port", () => {
  const REQUESTS = [
    ["GET", "/_sim/ledger"],
    ["GET", "/_sim/requests"],
    ["PUT", "/_sim/settings"],
    ["POST", "/_sim/faults"],
    ["DELETE", "/_sim/faults"],
    ["POST", "/_sim/market"],
    ["POST", "/_sim/claim"],
    ["POST", "/_sim/pods/any/kill"],
    ["POST", "/_sim/pods/any/vanish"],
    ["POST", "/v2/pods"],
    ["GET", "/v2/pods"],
  ] as const;

  it("neither reads nor changes anything, and other programs do", async () => {
    const { port } = new URL(simulator.url);
    for (const headersAt of Object.values(HOSTILE_PAGES)) {
      for (const [method, path] of REQUESTS) {
        const headers = {
          "content-type": "text/plain",
          authorization: `Bearer ${simulator.apiKey}`,
          ...headersAt(port),
        };
        const { status } = await send(`${simulator.url}${path}`, { method, headers, body: "{}" });
        expect({ method, path, status }).toEqual({ method, path, status: 403 });
      }
    }
    expect((await send(`${simulator.url}/_sim/ledger`)).status).toBe(200);
    expect((await send(`http://localhost:${port}/_sim/faults`, { method: "DELETE" })).status).toBe(204);
  });
});

describe("a web page that finds the health port", () => {
  it("reads nothing where it listens on this machine alone", async () => {
    const { port } = new URL(healthUrl);
    for (const path of ["/healthz", "/readyz", "/metrics"]) {
      for (const headersAt of Object.values(HOSTILE_PAGES)) {
        expect((await send(`${healthUrl}${path}`, { headers: headersAt(port) })).status).toBe(403);
      }
    }
    expect((await send(`${healthUrl}/healthz`)).status).toBe(200);
  });
});
