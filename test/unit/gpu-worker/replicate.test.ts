import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { createReplicate } from "../../../src/gpu-worker/services/replicate.ts";

const NOW_MS = Date.parse("2026-11-29T12:00:00Z");

function entry(id: string, agoSec: number) {
  return {
    id,
    status: "processing",
    input: { input_image: id },
    created_at: new Date(NOW_MS - agoSec * 1_000).toISOString(),
  };
}

describe("Replicate's list of predictions", () => {
  let server: Server;
  afterEach(() => server.close());

  /** @param pages what each page holds; another one follows each but the last */
  async function listOf(pages: (place: number) => { results: unknown[]; isLast: boolean }) {
    let asked = 0;
    server = createServer((request, response) => {
      asked += 1;
      const place = Number(new URL(request.url ?? "", "http://x").searchParams.get("cursor") ?? 0);
      const { results, isLast } = pages(place);
      const next = isLast ? null : `https://elsewhere.example/v1/predictions?cursor=${place + 1}`;
      response.end(JSON.stringify({ next, results }));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { replicate: createReplicate({ token: "t", apiUrl }), asked: () => asked };
  }

  it("invariant 17: is read beside entries of any shape, and one of an unreadable time may be ours", async () => {
    const odd = [null, 7, "x", [], { id: 3 }, { ...entry("a", 1), input: "text" }, { ...entry("b", 1), created_at: 5 }];
    const timeless = { ...entry("ours", 1), created_at: "2026-11-29 20:57:28.123 +0000 UTC" };
    const { replicate } = await listOf(() => ({ results: [...odd, entry("new", 10), timeless], isLast: true }));
    const ids = (await replicate.since(NOW_MS - 60_000)).map(({ id }) => id);
    expect(ids).toContain("new");
    expect(ids).toContain("ours");
  });

  it("ends at the first older prediction", async () => {
    const { replicate, asked } = await listOf((place) => ({
      results: [entry(`p${place}`, place * 40)],
      isLast: false,
    }));
    const ids = (await replicate.since(NOW_MS - 60_000)).map(({ id }) => id);
    expect([ids, asked()]).toEqual([["p0", "p1"], 3]);
  });

  it("invariant 3: is unknown, not without ours, when it is too long to be read", async () => {
    const { replicate, asked } = await listOf((place) => ({ results: [entry(`p${place}`, 1)], isLast: false }));
    await expect(replicate.since(NOW_MS - 60_000)).rejects.toThrow("more than 20 pages");
    expect(asked()).toBe(20);
  });
});
