import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { processStartTime } from "../../src/process/process-identity.ts";
import type { FaultInput } from "../../src/simulator/faults.ts";
import type { SimulatorSettings } from "../../src/simulator/settings.ts";
import { type Simulator, startSimulator } from "../../src/simulator/simulator.ts";
import type { LaunchPod, PodStatus } from "../../src/simulator/types.ts";
import { createRunpodClient, type RunpodClient } from "../../src/runpod/client.ts";
import type { CreatePodRequest } from "../../src/runpod/types.ts";

export const SLEEPER = "setInterval(() => {}, 1000)";

/** Launches pods as `node -e <script>`. */
export function scriptLauncher(script: string): LaunchPod {
  return (pod) => {
    const child = spawn(process.execPath, ["-e", script], { env: pod.env, stdio: "ignore" });
    if (child.pid === undefined) {
      throw new Error("node was not started");
    }
    const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    return {
      pid: child.pid,
      exited,
      async stop(graceMs) {
        child.kill("SIGTERM");
        const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
        await exited;
        clearTimeout(timer);
      },
      kill: () => void child.kill("SIGKILL"),
    };
  };
}

export interface Actor {
  /** Writes a line of the container's output. */
  say(line: string): void;
  end(code: number): void;
}

/** Launches pods without processes, which do what the test says. `actors` are in the order of their start. */
export function actorLauncher(): { launch: LaunchPod; actors: Actor[] } {
  const actors: Actor[] = [];
  const launch: LaunchPod = ({ onLine }) => {
    let end: (exit: { code: number | null; signal: string | null }) => void = () => undefined;
    const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => (end = resolve));
    actors.push({ say: onLine, end: (code) => end({ code, signal: null }) });
    const kill = () => end({ code: null, signal: "SIGKILL" });
    return { pid: null, exited, stop: async () => kill(), kill };
  };
  return { launch, actors };
}

export interface Kit {
  readonly simulator: Simulator;
  readonly client: RunpodClient;
  readonly dataDir: string;
}

/** A simulator with fast phases and a client for it. Both are closed after the test. */
export async function startKit({
  launch = scriptLauncher(SLEEPER),
  settings = {},
  faults = [],
  now,
  clientTimeoutMs = 15_000,
}: {
  launch?: LaunchPod;
  settings?: Partial<SimulatorSettings>;
  faults?: FaultInput[];
  now?: () => number;
  clientTimeoutMs?: number;
} = {}): Promise<Kit> {
  const dataDir = await mkdtemp(join(tmpdir(), "simulator-test-"));
  const simulator = await startSimulator({
    launch,
    dataDir,
    settings: { provisioningMs: 0, startingMs: 0, deleteLagSec: 0, stopGraceMs: 2000, ...settings },
    ...(now ? { now } : {}),
  });
  const client = createRunpodClient({
    apiUrl: simulator.apiUrl,
    apiKey: simulator.apiKey,
    userAgent: "gpu-pool-test",
    timeoutMs: clientTimeoutMs,
  });
  for (const fault of faults) {
    simulator.addFault(fault);
  }
  onTestFinished(async () => {
    await client.close();
    await simulator.close();
    await rm(dataDir, { recursive: true, force: true });
  });
  return { simulator, client, dataDir };
}

export function podRequest(name: string, env: Record<string, string> = {}): CreatePodRequest {
  return {
    name,
    image: "example/worker:1",
    gpu: { id: "NVIDIA GeForce RTX 4090", count: 1 },
    cloud: "SECURE",
    disk: 20,
    env,
  };
}

/** Creates a pod through the client and returns its id. */
export async function createPod({ client }: Kit, name: string, env?: Record<string, string>): Promise<string> {
  const outcome = await client.createPod(podRequest(name, env));
  if (outcome.kind !== "created") {
    throw new Error(`pod not created: ${outcome.detail}`);
  }
  return outcome.pod.id;
}

export async function untilStatus({ simulator }: Kit, id: string, status: PodStatus): Promise<void> {
  await expect.poll(() => simulator.ledger().pods.find((pod) => pod.id === id)?.status).toBe(status);
}

/** A raw request with the simulator's key, for requests that the client would never send. */
export function raw({ simulator }: Kit, method: string, path: string, body?: unknown): Promise<Response> {
  return fetch(`${simulator.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${simulator.apiKey}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** False for zombies too: a container may have no init process that reaps orphans. */
export function isAlive(pid: number | null): boolean {
  return pid !== null && processStartTime(pid) !== null;
}
