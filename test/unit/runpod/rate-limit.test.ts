import { expect, it } from "vitest";
import { retryAfterSec } from "../../../src/runpod/rate-limit.ts";

const NOW_MS = Date.parse("2026-11-22T10:00:00Z");

it.each([
  ["nothing without headers", {}, undefined],
  ["Retry-After in seconds", { "retry-after": "12" }, 12],
  ["Retry-After as a date", { "retry-after": "Sun, 22 Nov 2026 10:00:30 GMT" }, 30],
  ["no time below zero for a date that is past", { "retry-after": "Sun, 22 Nov 2026 09:00:00 GMT" }, 0],
  ["the longest exhausted window", { ratelimit: '"minute";r=0;t=12, "hour";r=0;t=40, "day";r=7;t=80000' }, 40],
  ["the window when it is longer than Retry-After", { "retry-after": "5", ratelimit: '"hour";r=0;t=40' }, 40],
  ["Retry-After when it is longer than the window", { "retry-after": "60", ratelimit: '"minute";r=0;t=12' }, 60],
  ["a minute at most, in seconds", { "retry-after": "3600" }, 60],
  ["a minute at most, as a date", { "retry-after": "Sun, 22 Nov 2026 10:05:00 GMT" }, 60],
  ["a minute at most, of a window", { ratelimit: '"day";r=0;t=80000' }, 60],
  ["nothing for a time below zero", { "retry-after": "-5" }, undefined],
  ["nothing without an end", { "retry-after": "Infinity" }, undefined],
  ["nothing while every window has room", { ratelimit: '"minute";r=10;t=12' }, undefined],
  ["nothing for unreadable values", { "retry-after": "soon", ratelimit: "full" }, undefined],
] as [string, Record<string, string>, number | undefined][])("the wait is %s", (_, headers, expected) => {
  expect(retryAfterSec(headers, NOW_MS)).toBe(expected);
});
