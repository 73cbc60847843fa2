import fc from "fast-check";
import { expect, it } from "vitest";
import { readPod, readPodPage } from "../../../src/runpod/read-pod.ts";

const NOW_MS = Date.parse("2026-11-29T21:00:00Z");

function read(fields: Readonly<Record<string, unknown>>) {
  const answer = readPod({ id: "p1", name: "main-1", status: "RUNNING", ...fields }, NOW_MS);
  if (!answer.ok) {
    throw new Error(answer.detail);
  }
  return answer.value;
}

it.each([
  ["2026-11-29T20:57:28Z", "2026-11-29T20:57:28Z"],
  ["2026-11-29T20:57:28.123Z", "2026-11-29T20:57:28.123Z"],
  ["2026-11-29T20:57:28.123456789Z", "2026-11-29T20:57:28.123Z"],
  ["2026-11-29T22:57:28+02:00", "2026-11-29T20:57:28Z"],
  ["2026-11-29 20:57:28.123 +0000 UTC", "2026-11-29T20:57:28.123Z"],
  ["2026-11-29 15:57:28 -0500 EST", "2026-11-29T20:57:28Z"],
  ["2026-11-29 20:57:28 UTC", "2026-11-29T20:57:28Z"],
  // The provider's clock may be a little ahead.
  ["2026-11-29T21:04:00Z", "2026-11-29T21:04:00Z"],
  ["2026-11-29T21:06:00Z", null],
  ["2026-11-30T21:00:00Z", null],
  ["0001-01-01T00:00:00Z", null],
  ["1970-01-01T00:00:00Z", null],
  ["+275760-09-13T00:00:00Z", null],
  ["2026-13-45T00:00:00Z", null],
  ["2026-11-29T20:57:28", null],
  ["2026-11-29", null],
  ["Sun Nov 29 2026 20:57:28 GMT+0000 (Coordinated Universal Time)", null],
  ["yesterday", null],
  ["", null],
  [1_764_449_848, null],
  [null, null],
  [{}, null],
])("invariant 17: createdAt %j means %j", (raw, expected) => {
  expect(read({ createdAt: raw, startedAt: raw })).toMatchObject({ createdAt: expected, startedAt: expected });
});

it.each([
  [0.69, 0.69],
  ["0.69", 0.69],
  [0.001, 0.001],
  [1_000, 1_000],
  [0, null],
  ["0", null],
  ["0.0", null],
  [-1, null],
  [1e-6, null],
  [1_000.01, null],
  [Number.POSITIVE_INFINITY, null],
  [Number.NaN, null],
  ["0x10", null],
  ["", null],
  ["free", null],
  [true, null],
  [[0.69], null],
  [{ usd: 0.69 }, null],
  [null, null],
  [undefined, null],
])("invariant 17: a running pod's cost of %j is %j an hour", (raw, expected) => {
  expect(read({ cost: raw }).costPerHour).toBe(expected);
});

it("an ended pod costs nothing, but has no negative cost", () => {
  for (const status of ["EXITED", "TERMINATED"]) {
    expect(read({ status, cost: 0 }).costPerHour).toBe(0);
    expect(read({ status, cost: -1 }).costPerHour).toBeNull();
  }
});

it("keeps the readable part of an environment", () => {
  const env = { GPU_POOL_DEPLOYMENT: "main", PORT: 80, LIST: [], NONE: null, BROKEN: { toString: 1 } };
  expect(read({ env }).env).toEqual({ GPU_POOL_DEPLOYMENT: "main" });
});

const oddText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc
    .array(fc.constantFrom("\0", "\ud83c", "\udfac", "🎬", "a", "\u202e", "\n"), { maxLength: 60 })
    .map((parts) => parts.join("")),
  fc.nat(100_000).map((length) => "x".repeat(length)),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  fc.date({ noInvalidDate: true }).map(String),
);
const odd = fc.oneof(
  oddText,
  fc.double(),
  fc.maxSafeInteger(),
  fc.jsonValue(),
  fc.constantFrom(undefined, 0, "0", -1, [], {}),
);
const ENDED = new Set(["EXITED", "TERMINATED"]);
const STORABLE = /^[^\0\ud800-\udfff]*$/u;
const STORABLE_TIME = /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$/;

it("invariant 17: a pod with an id can be read and recorded, whatever its other fields hold", () => {
  const fields = fc.record(
    { name: odd, status: odd, gpu: odd, cost: odd, createdAt: odd, startedAt: odd, runtime: odd, env: odd },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fields, (raw) => {
      const { id, name, status, costPerHour, createdAt } = read(raw);
      expect(id).toBe("p1");
      expect(status).toMatch(STORABLE);
      expect(status.length).toBeLessThanOrEqual(40);
      expect(name ?? "").toMatch(STORABLE);
      const time = createdAt ?? "2026-01-01T00:00:00Z";
      expect(time).toMatch(STORABLE_TIME);
      expect(Date.parse(time)).toBeLessThanOrEqual(NOW_MS + 300_000);
      const price = costPerHour === null || ENDED.has(status) ? 1 : costPerHour;
      expect(price).toBeGreaterThanOrEqual(0.001);
      expect(price).toBeLessThanOrEqual(1_000);
    }),
  );
});

it("invariant 17: a list keeps each pod with an id, whatever stands beside it", () => {
  fc.assert(
    fc.property(fc.array(odd, { maxLength: 5 }), fc.array(odd, { maxLength: 5 }), (before, after) => {
      const pods = [...before, { id: "p1", name: "main-1" }, ...after];
      const body = { pods: JSON.parse(JSON.stringify(pods)) as unknown, pagination: { hasNextPage: false } };
      const page = readPodPage(body, NOW_MS);
      expect(page.ok && page.value.items.some(({ id }) => id === "p1")).toBe(true);
    }),
  );
});

const direct = { host: "192.0.2.7", port: 40_122, username: "root", command: "ssh root@192.0.2.7 -p 40122" };
const proxy = {
  host: "ssh.example.org",
  port: 22,
  username: "p1-64411c41",
  command: "ssh p1-64411c41@ssh.example.org",
};
it.each([
  [
    { direct, proxy },
    { host: "192.0.2.7", port: 40_122, username: "root" },
  ],
  [
    { direct: { host: "2001:db8::7", port: 22, username: "root" } },
    { host: "2001:db8::7", port: 22, username: "root" },
  ],
  // The proxy takes no commands without a terminal.
  [{ direct: null, proxy }, undefined],
  [null, undefined],
  ["root@192.0.2.7", undefined],
  [{ direct: "root@192.0.2.7 -p 22022" }, undefined],
  [{ direct: { ...direct, host: "-oProxyCommand=evil" } }, undefined],
  [{ direct: { ...direct, username: "-oProxyCommand=evil" } }, undefined],
  [{ direct: { ...direct, username: "root;evil" } }, undefined],
  [{ direct: { ...direct, port: "22" } }, undefined],
  [{ direct: { ...direct, port: 65_536 } }, undefined],
])("ssh %j means %j", (raw, expected) => {
  expect(read({ ssh: raw }).ssh).toEqual(expected);
});
