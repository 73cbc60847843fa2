import { createServer } from "node:net";
import { Runtime, type RuntimeOptions } from "@temporalio/worker";

const START_ATTEMPTS = 5;
const READ_TIMEOUT_MS = 3_000;

/** Reads the SDK's own metrics as Prometheus' text. */
export type SdkMetrics = () => Promise<string>;

/**
 * Installs the runtime with metrics. The SDK serves them on a port of its own, which cannot be shared and must be known
 * beforehand: it takes a free one of this machine, and our server passes them on.
 */
export async function installMeasuredRuntime(options: RuntimeOptions): Promise<SdkMetrics> {
  for (let attempt = 1; ; attempt += 1) {
    const bindAddress = `127.0.0.1:${await freePort()}`;
    const prometheus = { bindAddress, countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true };
    try {
      Runtime.install({ ...options, telemetryOptions: { metrics: { prometheus } } });
      return () => read(`http://${bindAddress}/metrics`);
    } catch (error) {
      // Another program was quicker to take the port.
      const taken = error instanceof Error && /address already in use/i.test(error.message);
      if (!taken || attempt === START_ATTEMPTS) {
        throw error;
      }
    }
  }
}

async function read(url: string): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(READ_TIMEOUT_MS) });
  const text = await answer.text();
  if (!answer.ok) {
    throw new Error(`the metrics of the Temporal SDK: HTTP ${answer.status}`);
  }
  return text;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port: 0, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
