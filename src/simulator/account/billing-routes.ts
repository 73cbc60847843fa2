import type { FastifyInstance, FastifyReply } from "fastify";
import { z } from "zod";
import { isFaulted } from "../faults.ts";
import { sendInvalid, sendProblem } from "../problems.ts";
import type { SimulatorState } from "../state.ts";
import type { BilledSpan } from "../types.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_BUCKETS = 10_000;

const time = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const querySchema = z.object({
  startTime: time.optional(),
  endTime: time.optional(),
  lastN: z.coerce.number().int().min(1).max(MAX_BUCKETS).optional(),
  bucketSize: z.enum(["hour", "day", "week", "month", "year"]).default("day"),
  podId: z.string().optional(),
  networkVolumeId: z.string().optional(),
});

type Query = z.infer<typeof querySchema>;
type BucketSize = Query["bucketSize"];

interface Bucket {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What a pod or volume cost, by spans of one price each. */
interface Billed {
  readonly id: string;
  readonly spans: readonly (BilledSpan & { readonly usdPerHour: number })[];
  /** The amounts of a record whose total this is. */
  readonly amounts: (usd: number) => Readonly<Record<string, number>>;
}

/** `GET /v2/billing/pods` and `GET /v2/billing/network-volumes`. */
export function registerBillingRoutes(app: FastifyInstance, state: SimulatorState): void {
  const { fleet, volumes, now } = state;
  const answer = async (query: unknown, reply: FastifyReply, idKey: "podId" | "networkVolumeId", things: Billed[]) => {
    if (await isFaulted(state, "billing", reply)) {
      return reply;
    }
    const parsed = querySchema.safeParse(query);
    if (!parsed.success) {
      return sendInvalid(reply, parsed.error, "query");
    }
    const wanted = parsed.data;
    if (wanted.lastN !== undefined && (wanted.startTime !== undefined || wanted.endTime !== undefined)) {
      return sendProblem(reply, 400, "lastN and startTime/endTime are mutually exclusive");
    }
    const buckets = bucketsOf(wanted, now());
    if (!buckets) {
      return sendProblem(reply, 400, `the window holds no bucket, or more than ${MAX_BUCKETS}`);
    }
    const chosen = things.filter(({ id }) => (wanted[idKey] ?? id) === id);
    return billingBody(idKey, chosen, buckets, now());
  };

  app.get("/billing/pods", async (request, reply) => {
    const things = fleet.all().map(({ id, billed, costPerHour, request: { cpu } }) => ({
      id,
      spans: billed.map((span) => ({ ...span, usdPerHour: costPerHour })),
      amounts: (usd: number) => ({
        totalAmount: usd,
        gpuAmount: cpu ? 0 : usd,
        cpuAmount: cpu ? usd : 0,
        diskAmount: 0,
      }),
    }));
    return answer(request.query, reply, "podId", things);
  });

  app.get("/billing/network-volumes", async (request, reply) => {
    const things = volumes.all().map(({ id, billed, type }) => ({
      id,
      spans: billed,
      amounts: (usd: number) => ({
        totalAmount: usd,
        standardAmount: type === "STANDARD" ? usd : 0,
        highPerformanceAmount: type === "STANDARD" ? 0 : usd,
      }),
    }));
    return answer(request.query, reply, "networkVolumeId", things);
  });
}

function billingBody(idKey: string, things: readonly Billed[], buckets: readonly Bucket[], nowMs: number): object {
  const records = buckets.flatMap(({ fromMs, toMs }) =>
    things.flatMap(({ id, spans, amounts }) => {
      const usd = spans.reduce((sum, span) => {
        const ms = Math.min(span.toMs ?? nowMs, toMs) - Math.max(span.fromMs, fromMs);
        return sum + (Math.max(0, ms) / HOUR_MS) * span.usdPerHour;
      }, 0);
      return usd === 0 ? [] : [{ startTime: iso(fromMs), endTime: iso(toMs), [idKey]: id, ...amounts(usd) }];
    }),
  );
  const totalAmount = records.reduce(
    (sum, record) => sum + (record as unknown as { totalAmount: number }).totalAmount,
    0,
  );
  return { records, metadata: { recordCount: records.length, totals: { totalAmount } } };
}

/** Null: none, or too many. */
function bucketsOf({ startTime, endTime, lastN, bucketSize }: Query, nowMs: number): Bucket[] | null {
  const buckets: Bucket[] = [];
  const endMs = endTime ?? nowMs;
  let fromMs = startOf(bucketSize, lastN === undefined ? (startTime ?? nowMs - 30 * DAY_MS) : nowMs);
  for (let back = 1; back < (lastN ?? 1); back++) {
    fromMs = startOf(bucketSize, fromMs - 1);
  }
  while (fromMs < endMs) {
    const toMs = startOf(
      bucketSize,
      fromMs + { hour: 1, day: 24, week: 168, month: 768, year: 8808 }[bucketSize] * HOUR_MS,
    );
    buckets.push({ fromMs, toMs });
    if (buckets.length > MAX_BUCKETS) {
      return null;
    }
    fromMs = toMs;
  }
  return buckets.length > 0 ? buckets : null;
}

/** The start of the bucket in which the time is, in UTC. Weeks begin on Monday. */
function startOf(size: BucketSize, atMs: number): number {
  const at = new Date(atMs);
  const dayMs = Math.floor(atMs / DAY_MS) * DAY_MS;
  switch (size) {
    case "hour":
      return Math.floor(atMs / HOUR_MS) * HOUR_MS;
    case "day":
      return dayMs;
    case "week":
      return dayMs - ((at.getUTCDay() + 6) % 7) * DAY_MS;
    case "month":
      return Date.UTC(at.getUTCFullYear(), at.getUTCMonth());
    case "year":
      return Date.UTC(at.getUTCFullYear());
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
