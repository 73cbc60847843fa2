import type { Logger } from "pino";
import { sleep } from "../abort.ts";
import type { KeptRequest } from "../queue/queue.ts";
import { withRetry } from "../retry.ts";
import type { Requests } from "../tasks/handler.ts";
import { mayHaveArrived, mayPass, type Prediction, type Replicate } from "./replicate.ts";

export interface PredictionOrder {
  readonly model: string;
  /** @returns the input, and the value of one of its fields that no other prediction has */
  readonly prepare: () => Promise<{ readonly input: object; readonly mark: string }>;
  /** The field of the input that has the mark. */
  readonly markField: string;
}

export interface PredictionRun {
  readonly replicate: Replicate;
  readonly requests: Requests;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly onProgress: (fraction: number, message: string) => void;
  /** The longest life of a prediction. */
  readonly timeoutSec: number;
  /** Between two looks, at first. */
  readonly pollMs: number;
}

export const REPLICATE = "replicate";

const FINAL = new Set(["succeeded", "failed", "canceled", "aborted"]);
/** Their clock and ours may differ. */
const CLOCKS_MS = 120_000;
const CANCEL_WITHIN_MS = 8_000;

/**
 * Makes a prediction, or goes on with the one that this task has asked for before, and waits for its end. If the task is
 * cancelled meanwhile, so is the prediction; a task that another worker goes on with keeps it.
 * @throws ReplicateError; Error when the prediction did not succeed; the signal's reason
 */
export async function runPrediction(order: PredictionOrder, run: PredictionRun): Promise<Prediction> {
  let id: string | null = null;
  try {
    const begun = (await findBegun(order, run)) ?? (await begin(order, run));
    id = begun.id;
    return await untilFinal(begun, run);
  } finally {
    if (run.signal.aborted) {
      await cancelIfOver(id, order, run).catch((error: unknown) => {
        run.logger.warn({ err: error, prediction: id }, "the prediction could not be cancelled");
      });
    }
  }
}

/** Forgets the prediction, so that the next attempt asks for a new one. */
export async function forgetPrediction({ requests }: Pick<PredictionRun, "requests">): Promise<void> {
  await requests.keep(REPLICATE, null);
}

async function findBegun(order: PredictionOrder, run: PredictionRun): Promise<Prediction | null> {
  const { request } = await run.requests.kept(REPLICATE);
  if (request === null) {
    return null;
  }
  const { requestId, mark } = request;
  const found = requestId === null ? await search(order, run, request) : await look(run, requestId);
  if (found === null || (found.status !== "succeeded" && FINAL.has(found.status))) {
    return null;
  }
  run.logger.info({ prediction: found.id, of_attempt: request.attempt }, "the prediction was asked for before");
  if (requestId === null) {
    await run.requests.keep(REPLICATE, { requestId: found.id, mark });
  }
  return found;
}

/** Looks for a prediction whose answer was lost. Twice, because a list may lag behind. */
async function search(
  { markField }: PredictionOrder,
  run: PredictionRun,
  request: Pick<NonNullable<KeptRequest["request"]>, "mark" | "askedAtMs"> | null,
): Promise<Prediction | null> {
  if (request === null) {
    return null;
  }
  const { mark, askedAtMs } = request;
  for (const delayMs of [0, run.pollMs * 2]) {
    await sleep(delayMs, run.signal);
    const newest = await patiently(run, () => run.replicate.since(askedAtMs - CLOCKS_MS));
    const found = newest.find(({ input }) => input[markField] === mark);
    if (found !== undefined) {
      return found;
    }
  }
  return null;
}

async function begin(order: PredictionOrder, run: PredictionRun): Promise<Prediction> {
  const { input, mark } = await order.prepare();
  // Before it is sent: whoever finds this looks for the prediction by its mark.
  const held = await run.requests.keep(REPLICATE, { requestId: null, mark });
  if (!held) {
    throw new Error("the lease on the task is lost: nothing is asked of Replicate");
  }
  const asked = { mark, askedAtMs: Date.now() };
  const begun = await withRetry(
    async () => {
      try {
        return await run.replicate.create(order.model, input, run.timeoutSec);
      } catch (error) {
        const found = mayHaveArrived(error) ? await search(order, run, asked) : null;
        if (found === null) {
          throw error;
        }
        return found;
      }
    },
    { signal: run.signal, firstDelayMs: run.pollMs, retryable: tooFew },
  );
  await run.requests.keep(REPLICATE, { requestId: begun.id, mark });
  return begun;
}

async function untilFinal(begun: Prediction, run: PredictionRun): Promise<Prediction> {
  const startedMs = Date.now();
  let prediction = begun;
  for (let pollMs = run.pollMs; !FINAL.has(prediction.status); pollMs = Math.min(pollMs * 1.3, 5_000)) {
    const waitedSec = Math.round((Date.now() - startedMs) / 1_000);
    if (waitedSec > run.timeoutSec) {
      await patiently(run, () => run.replicate.cancel(prediction.id));
      throw new Error(`Replicate has not ended prediction ${prediction.id} within ${run.timeoutSec} s`);
    }
    // A service that is slow to begin does not make its worker stuck: the time limit is here.
    run.onProgress(fractionOf(prediction), `Replicate: ${prediction.status}, ${waitedSec} s`);
    await sleep(pollMs, run.signal);
    run.signal.throwIfAborted();
    const next = await look(run, prediction.id);
    if (next === null) {
      throw new Error(`Replicate has no prediction ${prediction.id} any more`);
    }
    prediction = next;
  }
  if (prediction.status !== "succeeded") {
    await forgetPrediction(run);
    throw new Error(
      `Replicate: prediction ${prediction.id} is ${prediction.status}: ${prediction.error ?? "no reason"}`,
    );
  }
  return prediction;
}

/** Only a task that is over needs it no more. */
async function cancelIfOver(id: string | null, order: PredictionOrder, run: PredictionRun): Promise<void> {
  const signal = AbortSignal.timeout(CANCEL_WITHIN_MS);
  const { held, taskStatus, request } = await run.requests.kept(REPLICATE, signal);
  if (held || taskStatus === "Queued" || taskStatus === "In Progress") {
    return;
  }
  const prediction = id ?? request?.requestId ?? (await search(order, { ...run, signal }, request))?.id;
  if (prediction === undefined) {
    return;
  }
  await withRetry(() => run.replicate.cancel(prediction), { signal, retryable: tooFew });
  run.logger.info({ prediction }, "the task is over: its prediction was cancelled");
}

function look(run: PredictionRun, id: string): Promise<Prediction | null> {
  return patiently(run, () => run.replicate.get(id));
}

function patiently<T>({ signal, pollMs }: PredictionRun, call: () => Promise<T>): Promise<T> {
  return withRetry(call, { signal, firstDelayMs: pollMs, retryable: tooFew });
}

function tooFew(error: unknown, attempt: number): boolean {
  return mayPass(error) && attempt < 6;
}

/** From the model's own log, which ends with its latest percentage. */
function fractionOf({ status, logs }: Prediction): number {
  const percent = Number(
    logs
      .match(/(\d{1,3})%/g)
      ?.at(-1)
      ?.slice(0, -1) ?? 0,
  );
  return status === "processing" ? 0.1 + 0.8 * Math.min(1, percent / 100) : 0.05;
}
