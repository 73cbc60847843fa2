import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { createRunpodClient, type RunpodClient } from "../../src/runpod/client.ts";

export const API_KEY = "rpa_key_of_this_test";
export const POD = { id: "p1", name: "main-1", status: "RUNNING" };
export function clientFor(apiUrl: string, timeoutMs = 5000): RunpodClient {
  const client = createRunpodClient({ apiUrl, apiKey: API_KEY, userAgent: "gpu-pool-test/1", timeoutMs });
  onTestFinished(() => client.close());
  return client;
}

export async function serve(listener: RequestListener): Promise<RunpodClient> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return clientFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v2/`);
}

export interface Scripted {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

/** Answers the n-th request with the n-th given answer, and later requests with the last one. */
export async function script(...answers: Scripted[]): Promise<{ client: RunpodClient; seen: string[] }> {
  const seen: string[] = [];
  const client = await serve((request, response) => {
    const answer = answers[Math.min(seen.length, answers.length - 1)];
    seen.push(`${request.method} ${request.url}`);
    const json = typeof answer?.body !== "string";
    response.writeHead(answer?.status ?? 500, {
      "content-type": json ? "application/json" : "text/plain",
      ...answer?.headers,
    });
    response.end(json ? JSON.stringify(answer?.body) : (answer?.body as string));
  });
  return { client, seen };
}
