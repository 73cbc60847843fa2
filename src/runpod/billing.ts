import { type Api, type CallOptions, listAll } from "./api.ts";
import type { Unknown } from "./outcomes.ts";
import { plausibleAmount, plausibleTime } from "./plausible.ts";
import { fieldsOf, type Page, type Read, readPage, textOf } from "./read.ts";

/** A bucket ends later than now while it is open. */
const LONGEST_BUCKET_MS = 366 * 24 * 3_600_000;

export type BucketSize = "hour" | "day" | "week" | "month" | "year";

export interface BillingOptions extends CallOptions {
  /** Only this pod or volume. */
  readonly id?: string;
  /** Default: day. */
  readonly bucketSize?: BucketSize;
  /** ISO 8601, and widened by the provider to whole buckets. Default: 30 days ago until now. */
  readonly from?: string;
  readonly to?: string;
  /** The last buckets, including the open one; in place of `from` and `to`. */
  readonly lastBuckets?: number;
}

/** What one pod or volume cost in one bucket of time. `null` is unknown. */
export interface BillingRecord {
  readonly id: string | null;
  /** ISO 8601 in UTC, inclusive. */
  readonly from: string | null;
  /** Exclusive. */
  readonly to: string | null;
  /** US dollars. */
  readonly usd: number | null;
}

export type ListBillingOutcome =
  | {
      readonly kind: "complete";
      readonly records: readonly BillingRecord[];
      /** The provider's own sum in US dollars; null: it shows none. */
      readonly totalUsd: number | null;
    }
  | Unknown;

export interface BillingCalls {
  /** What pods cost, with their disks: one record for each pod and bucket. The provider's books lag behind. */
  listPodBilling(options?: BillingOptions): Promise<ListBillingOutcome>;
  /** What network volumes cost. */
  listVolumeBilling(options?: BillingOptions): Promise<ListBillingOutcome>;
}

export function createBillingCalls(api: Api): BillingCalls {
  return {
    listPodBilling: (options = {}) => listBilling(api, "pods", "podId", options),
    listVolumeBilling: (options = {}) => listBilling(api, "network-volumes", "networkVolumeId", options),
  };
}

async function listBilling(
  api: Api,
  subject: "pods" | "network-volumes",
  idKey: "podId" | "networkVolumeId",
  { id, bucketSize, from, to, lastBuckets, signal }: BillingOptions,
): Promise<ListBillingOutcome> {
  const wanted = { [idKey]: id, bucketSize, startTime: from, endTime: to, lastN: lastBuckets };
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(wanted)) {
    if (value !== undefined) {
      query.set(key, String(value));
    }
  }
  let totalUsd: number | null = null;
  const read = (body: unknown, nowMs: number): Read<Page<BillingRecord>> => {
    totalUsd = plausibleAmount(fieldsOf(fieldsOf(fieldsOf(body)["metadata"])["totals"])["totalAmount"]);
    return readRecords(body, idKey, nowMs);
  };
  const path = `/billing/${subject}${query.size === 0 ? "" : `?${query.toString()}`}`;
  const list = await listAll(api, { what: `listing what ${subject} cost`, path, read, signal });
  return list.kind === "complete" ? { kind: "complete", records: list.items, totalUsd } : list;
}

/** A record without an id still says what was paid, so it is kept. */
function readRecords(body: unknown, idKey: string, nowMs: number): Read<Page<BillingRecord>> {
  const page = readPage(body, { key: "records", nouns: "billing records", inOnePiece: true });
  if (!page.ok) {
    return page;
  }
  const items = page.value.items.map((entry) => {
    const raw = fieldsOf(entry);
    return {
      id: textOf(raw[idKey]),
      from: plausibleTime(raw["startTime"], nowMs),
      to: plausibleTime(raw["endTime"], nowMs + LONGEST_BUCKET_MS),
      usd: plausibleAmount(raw["totalAmount"]),
    };
  });
  return { ok: true, value: { items, nextCursor: page.value.nextCursor } };
}
