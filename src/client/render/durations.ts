const SECONDS_OF = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/**
 * Reads a duration such as `90s`, `30m`, `2h` or `1h30m` as whole seconds.
 * @throws Error that names what is expected
 */
export function parseDurationSec(text: string): number {
  const parts = [...text.matchAll(/(\d+)([smhd])/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text) {
    throw new Error(`expected a duration such as 90s, 30m, 2h or 1h30m, got ${JSON.stringify(text)}`);
  }
  const total = parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * SECONDS_OF[unit as keyof typeof SECONDS_OF],
    0,
  );
  if (!Number.isSafeInteger(total) || total < 1) {
    throw new Error(`expected a duration of at least 1s, got ${JSON.stringify(text)}`);
  }
  return total;
}

/** The two largest units of a duration: `42s`, `3m05s`, `2h10m`, `4d03h`; `?` where a time is none. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) {
    return "?";
  }
  const sec = Math.max(0, Math.floor(ms / 1000));
  const pad = (value: number) => String(value).padStart(2, "0");
  if (sec < 60) {
    return `${sec}s`;
  }
  if (sec < 3600) {
    return `${Math.floor(sec / 60)}m${pad(sec % 60)}s`;
  }
  if (sec < 86_400) {
    return `${Math.floor(sec / 3600)}h${pad(Math.floor((sec % 3600) / 60))}m`;
  }
  return `${Math.floor(sec / 86_400)}d${pad(Math.floor((sec % 86_400) / 3600))}h`;
}
