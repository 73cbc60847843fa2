/**
 * No remote answer makes us wait longer. A pod whose delete is put off bills meanwhile, and a request that comes too early
 * costs only one more refusal.
 */
const LONGEST_REMOTE_WAIT_SEC = 60;

/**
 * Seconds to wait before the next call, at most 60: the longest of `Retry-After` and every exhausted window of the
 * `RateLimit` header, because `Retry-After` may cover only one of the windows. Undefined: the answer names no time.
 */
export function retryAfterSec(headers: Readonly<Record<string, string>>, nowMs: number): number | undefined {
  const waits = [...retryAfter(headers["retry-after"], nowMs), ...exhaustedWindows(headers["ratelimit"])];
  return waits.length === 0 ? undefined : Math.min(LONGEST_REMOTE_WAIT_SEC, Math.max(...waits));
}

function retryAfter(value: string | undefined, nowMs: number): number[] {
  if (value === undefined || value.trim() === "") {
    return [];
  }
  const seconds = Number(value);
  if (Number.isFinite(seconds)) {
    return seconds >= 0 ? [seconds] : [];
  }
  const atMs = Date.parse(value);
  return Number.isNaN(atMs) ? [] : [Math.max(0, Math.ceil((atMs - nowMs) / 1000))];
}

function exhaustedWindows(value: string | undefined): number[] {
  return (value ?? "").split(",").flatMap((window) => {
    const left = /;\s*r=(\d+)/.exec(window)?.[1];
    const resetSec = /;\s*t=(\d+)/.exec(window)?.[1];
    return left !== undefined && Number(left) === 0 && resetSec !== undefined ? [Number(resetSec)] : [];
  });
}
