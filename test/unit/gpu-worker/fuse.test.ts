import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { type Fuse, lightFuse } from "../../../src/gpu-worker/fuse.ts";

const KEY = "key-that-no-log-may-show";
const NOW_MS = Date.parse("2030-01-31T12:00:00.000Z");
const DAY_MS = 86_400_000;

type Answer = (reply: ServerResponse, request: IncomingMessage) => void;

function status(code: number, type = "application/problem+json"): Answer {
  return (reply) => reply.writeHead(code, { "content-type": type }).end(code === 204 ? undefined : "{}");
}
const cut: Answer = (_reply, request) => request.destroy();

beforeEach(() => void vi.useFakeTimers({ now: NOW_MS, toFake: ["setTimeout", "clearTimeout", "Date"] }));
afterEach(() => void vi.useRealTimers());

/** Lights a fuse at a provider that gives these answers in order and repeats the last one without end. */
async function light(endsInMs: number, ...answers: Answer[]) {
  const requests: string[] = [];
  const server = createServer((request, reply) => {
    const { authorization, "user-agent": agent } = request.headers;
    requests.push(`${request.method} ${request.url} ${authorization} ${agent}`);
    answers[Math.min(requests.length, answers.length) - 1]?.(reply, request);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const lines: { level: number; msg: string; wait_ms?: number }[] = [];
  const logger = pino({ level: "trace" }, { write: (line: string) => void lines.push(JSON.parse(line) as never) });
  const onEnd = vi.fn<(why: string) => void>();
  const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2`;
  const settings = { endsAtMs: NOW_MS + endsInMs, podId: "x1y2z3", apiKey: KEY, apiUrl };
  const fuse = lightFuse(settings, { logger, onEnd });
  return { fuse, requests, lines, onEnd };
}

/** Advances the fake clock by one second at a time until the fuse has burnt. */
async function untilBurnt(fuse: Fuse): Promise<void> {
  let isBurnt = false;
  void fuse.burnt.then(() => (isBurnt = true));
  const look = async () => {
    await vi.advanceTimersByTimeAsync(1_000);
    return isBurnt;
  };
  await expect.poll(look, { interval: 5 }).toBe(true);
}

describe("invariant 15: the fuse of a pod", () => {
  it("waits for its instant, however far away, and then deletes its own pod with the pod's own key", async () => {
    const { fuse, requests, lines, onEnd } = await light(40 * DAY_MS, status(204));
    await vi.advanceTimersByTimeAsync(40 * DAY_MS - 1);
    expect(fuse.isBurning()).toBe(false);
    expect(lines).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(fuse.isBurning()).toBe(true);
    await fuse.burnt;
    expect(requests).toEqual([`DELETE /v2/pods/x1y2z3 Bearer ${KEY} gpu-pool-worker`]);
    expect(onEnd.mock.calls).toEqual([["pod x1y2z3 has outlived its end, 2030-03-12T12:00:00.000Z"]]);
    expect(lines[0]).toMatchObject({ level: 50, msg: expect.stringContaining("nobody has deleted it") });
  });

  it("burns at once where its instant is past, as in a container that was restarted", async () => {
    const { fuse, requests, onEnd } = await light(-1, status(204));
    expect(fuse.isBurning()).toBe(true);
    expect(onEnd).toHaveBeenCalledOnce();
    await fuse.burnt;
    expect(requests).toHaveLength(1);
  });

  it("notices within a minute that the clock was adjusted while it waits", async () => {
    const { fuse } = await light(DAY_MS, status(204));
    vi.setSystemTime(NOW_MS + DAY_MS);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(fuse.isBurning()).toBe(true);
    await fuse.burnt;
  });

  it("tries again after errors, cut connections and HTML pages of the provider's proxy until the pod is deleted", async () => {
    const page = status(404, "text/html; charset=utf-8");
    const { fuse, requests, lines } = await light(0, status(500), cut, page, status(429), status(204));
    await untilBurnt(fuse);
    expect(requests).toHaveLength(5);
    expect(lines.filter(({ level }) => level === 40).map(({ msg }) => msg)).toEqual([
      expect.stringContaining("HTTP 500"),
      expect.stringContaining("no answer ("),
      expect.stringContaining("HTTP 404 with an HTML page"),
      expect.stringContaining("HTTP 429"),
    ]);
  });

  it("counts a pod that the provider does not know as deleted", async () => {
    const { fuse, requests } = await light(0, status(404));
    await fuse.burnt;
    expect(requests).toHaveLength(1);
  });

  it("tries again after a second at first, and never waits longer than a minute", async () => {
    const { fuse, lines } = await light(0, ...Array.from({ length: 12 }, () => status(503)), status(204));
    await untilBurnt(fuse);
    const waitsMs = lines.flatMap(({ wait_ms: waitMs }) => waitMs ?? []);
    expect(waitsMs).toHaveLength(12);
    expect(waitsMs[0]).toBeLessThanOrEqual(1_000);
    expect(waitsMs.filter((waitMs) => waitMs > 60_000)).toEqual([]);
    expect(waitsMs[11]).toBeGreaterThanOrEqual(45_000);
  });

  it.each([401, 403])("logs an error when its key is refused with %i, and tries again once a minute", async (code) => {
    const { fuse, requests, lines } = await light(0, status(code), status(204));
    await untilBurnt(fuse);
    expect(requests).toHaveLength(2);
    const line = { level: 50, wait_ms: 60_000, msg: expect.stringContaining(`HTTP ${code}`) };
    expect(lines).toContainEqual(expect.objectContaining(line));
    expect(JSON.stringify(lines)).not.toContain(KEY);
  });

  it("deletes the pod once when `burn` is called early, and not again at its instant", async () => {
    const { fuse, requests, onEnd } = await light(DAY_MS, status(204));
    await Promise.all([fuse.burn(), fuse.burn()]);
    await vi.advanceTimersByTimeAsync(2 * DAY_MS);
    expect(requests).toHaveLength(1);
    expect(onEnd).not.toHaveBeenCalled();
  });
});
