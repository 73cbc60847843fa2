import { openAsBlob } from "node:fs";
import { basename } from "node:path";
import { z } from "zod";
import { cut, shorten } from "../../../supabase/functions/_shared/text.ts";

export interface ReplicateSettings {
  readonly token: string;
  /** Such as `https://api.replicate.com/v1`. */
  readonly apiUrl: string;
}

/** A run of a model, which is paid for. */
export interface Prediction {
  readonly id: string;
  /** `succeeded`, `failed`, `canceled` and `aborted` are final. */
  readonly status: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly output: unknown;
  readonly error: string | null;
  readonly logs: string;
  readonly createdAtMs: number;
}

/** Replicate did not do what it was asked. `status` is its HTTP status; 0: it gave no answer. */
export class ReplicateError extends Error {
  override readonly name = "ReplicateError";
  readonly status: number;

  constructor(operation: string, status: number, detail: string) {
    super(`Replicate: ${operation} ${status === 0 ? "got no answer" : `was answered ${status}`}: ${cut(detail, 500)}`);
    this.status = status;
  }
}

/** Replicate's HTTP API. Every call throws ReplicateError; none retries by itself. */
export interface Replicate {
  /** The origin of the API, which may give files too. */
  readonly origin: string;
  /** @returns an address by which models read the file, for a day */
  upload(path: string, contentType: string): Promise<string>;
  /** @param cancelAfterSec ends the prediction at this age, even if nobody asks for it any more */
  create(model: string, input: object, cancelAfterSec: number): Promise<Prediction>;
  /** Null: there is none of this id, or not any more. */
  get(id: string): Promise<Prediction | null>;
  /** The predictions made since an instant, the newest first. @throws ReplicateError also where they are too many to be read */
  since(ms: number): Promise<readonly Prediction[]>;
  cancel(id: string): Promise<void>;
}

const CALL_TIMEOUT_MS = 30_000;
const UPLOAD_TIMEOUT_MS = 300_000;
const MAX_PAGES = 20;
const LIST = "the list of predictions";

const prediction = z
  .object({
    id: z.string(),
    status: z.string(),
    input: z.record(z.string(), z.unknown()).nullish(),
    output: z.unknown().optional(),
    error: z.unknown().optional(),
    logs: z.string().nullish(),
    created_at: z.string().transform((text) => Date.parse(text)),
  })
  .transform(({ id, status, input, output, error, logs, created_at: createdAtMs }): Prediction => ({
    id,
    status,
    output,
    createdAtMs,
    input: input ?? {},
    error: error == null ? null : shorten(typeof error === "string" ? error : JSON.stringify(error), 1_000),
    logs: logs ?? "",
  }));
/** A prediction of somebody else may be of any shape. */
const page = z.object({ next: z.string().nullish(), results: z.array(z.unknown()) });
const file = z.object({ urls: z.object({ get: z.string() }) });

/** Whether the same call may succeed later. */
export function mayPass(error: unknown): error is ReplicateError {
  return error instanceof ReplicateError && (error.status === 429 || error.status === 408 || mayHaveArrived(error));
}

/** Whether a request that failed may have been taken all the same. */
export function mayHaveArrived(error: unknown): error is ReplicateError {
  return error instanceof ReplicateError && (error.status === 0 || error.status >= 500);
}

function createCall({ token, apiUrl }: ReplicateSettings) {
  return async <T>(operation: string, path: string, init: RequestInit, answer: z.ZodType<T>): Promise<T> => {
    const timeoutMs = init.body instanceof FormData ? UPLOAD_TIMEOUT_MS : CALL_TIMEOUT_MS;
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${token}`);
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await fetch(`${apiUrl}${path}`, { ...init, headers, signal }).catch((error: unknown) => {
      throw new ReplicateError(operation, 0, whyUnanswered(error));
    });
    const body = await response.text().catch((error: unknown) => {
      throw new ReplicateError(operation, 0, whyUnanswered(error));
    });
    if (!response.ok) {
      throw new ReplicateError(operation, response.status, body);
    }
    const parsed = answer.safeParse(readJson(body));
    if (!parsed.success) {
      throw new ReplicateError(operation, 502, `the answer cannot be read: ${z.prettifyError(parsed.error)}`);
    }
    return parsed.data;
  };
}

export function createReplicate(settings: ReplicateSettings): Replicate {
  const { apiUrl } = settings;
  const call = createCall(settings);
  return {
    origin: new URL(apiUrl).origin,
    async upload(path, contentType) {
      const form = new FormData();
      form.append("content", await openAsBlob(path, { type: contentType }), basename(path));
      return (await call("the upload of a file", "/files", { method: "POST", body: form }, file)).urls.get;
    },
    async create(model, input, cancelAfterSec) {
      const headers = { "content-type": "application/json", "cancel-after": `${cancelAfterSec}s` };
      const init = { method: "POST", headers, body: JSON.stringify({ input }) };
      return await call("a prediction", `/models/${model}/predictions`, init, prediction);
    },
    async get(id) {
      try {
        return await call("a look at a prediction", `/predictions/${encodeURIComponent(id)}`, {}, prediction);
      } catch (error) {
        if (error instanceof ReplicateError && error.status === 404) {
          return null;
        }
        throw error;
      }
    },
    async since(ms) {
      const found: Prediction[] = [];
      let path: string | null = "/predictions";
      for (let read = 0; path !== null; read += 1) {
        if (read === MAX_PAGES) {
          throw new ReplicateError(
            LIST,
            200,
            `it has more than ${MAX_PAGES} pages since ${new Date(ms).toISOString()}`,
          );
        }
        const { next, results }: z.infer<typeof page> = await call(LIST, path, {}, page);
        const readable = results.flatMap((each) => prediction.safeParse(each).data ?? []);
        // One whose time cannot be read may be of any time.
        const older = readable.filter(({ createdAtMs }) => createdAtMs < ms);
        found.push(...readable.filter((each) => !older.includes(each)));
        // The next page's address is the server's word: only its cursor is taken.
        path = next && older.length === 0 ? `/predictions${new URL(next, apiUrl).search}` : null;
      }
      return found;
    },
    async cancel(id) {
      await call("cancelling", `/predictions/${encodeURIComponent(id)}/cancel`, { method: "POST" }, z.unknown());
    },
  };
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function whyUnanswered(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}, ${cause.message}` : message;
}
