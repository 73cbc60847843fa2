import { cut, storableText } from "../../supabase/functions/_shared/text.ts";

/** A lower price would be stored as 0, because the database keeps four decimals. */
const LOWEST_USD_PER_HOUR = 0.001;
/** Ten times the dearest machines, and far above the 80 dollars an hour that an account may spend by default. */
const HIGHEST_USD_PER_HOUR = 1_000;
const HIGHEST_USD = 10_000_000;
const EARLIEST_MS = Date.UTC(2020, 0, 1);
/** How far the provider's clock may be ahead of ours. */
const CLOCK_SKEW_MS = 300_000;

const DECIMAL = /^\d{1,9}(\.\d{1,12})?$/;
/** ISO 8601, and the form in which Go prints a time: `2026-11-29 20:57:28.123 +0000 UTC`. */
const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d{1,9})?) ?(?:(Z|UTC)|([+-]\d\d):?(\d\d)(?: [A-Z]{1,5})?)$/i;

/** The number, also if it is written as decimal text; null: no finite number. */
export function plausibleNumber(raw: unknown): number | null {
  if (typeof raw === "string" && DECIMAL.test(raw)) {
    return Number(raw);
  }
  return typeof raw === "number" && Number.isFinite(raw) ? raw : null;
}

/** US dollars per hour from 0.001 to 1,000; null: no price, or none that can be true. */
export function plausiblePrice(raw: unknown): number | null {
  const usd = plausibleNumber(raw);
  return usd !== null && usd >= LOWEST_USD_PER_HOUR && usd <= HIGHEST_USD_PER_HOUR ? usd : null;
}

/** US dollars up to ten million; null: no amount, or none that can be true. */
export function plausibleAmount(raw: unknown, { mayBeNegative = false } = {}): number | null {
  const usd = plausibleNumber(raw);
  return usd !== null && Math.abs(usd) <= HIGHEST_USD && (usd >= 0 || mayBeNegative) ? usd : null;
}

/** The time as ISO 8601 in UTC; null: no time with a zone, before 2020, or after now. */
export function plausibleTime(raw: unknown, nowMs: number): string | null {
  const [, date, time, utc, hours, minutes] = (typeof raw === "string" && TIME.exec(raw)) || [];
  const atMs = Date.parse(`${date}T${time}${utc === undefined ? `${hours}:${minutes}` : "Z"}`);
  return atMs >= EARLIEST_MS && atMs <= nowMs + CLOCK_SKEW_MS
    ? new Date(atMs).toISOString().replace(".000Z", "Z")
    : null;
}

/** The text as the database can store it, shortened. */
export function plainText(text: string, longest: number): string {
  return storableText(cut(text, longest));
}
