import { Readable } from "node:stream";
import { type Dispatcher, request } from "undici";

export interface Answer {
  readonly kind: "answer";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** `sent`: a byte of the request may have left this machine. Only `false` proves that nothing happened. */
export interface NoAnswer {
  readonly kind: "no-answer";
  readonly sent: boolean;
  readonly detail: string;
}

export interface ExchangeRequest {
  readonly dispatcher: Dispatcher;
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload?: unknown;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One HTTP request, sent at most once. Never rejects: any failure to get a complete answer within `timeoutMs` is
 * returned as `no-answer`.
 */
export async function exchange(options: ExchangeRequest): Promise<Answer | NoAnswer> {
  const { method, url, timeoutMs, signal } = options;
  if (signal?.aborted) {
    return { kind: "no-answer", sent: false, detail: "cancelled before it was sent" };
  }
  const deadline = AbortSignal.timeout(timeoutMs);
  const bytes = options.payload === undefined ? null : Buffer.from(JSON.stringify(options.payload));
  // undici reads the body only after the connection is established. So an unread body proves that nothing was sent,
  // whatever the error is (DNS, refusal, TLS, timeout while connecting).
  let sent = bytes === null;
  const body =
    bytes === null
      ? null
      : new Readable({
          read() {
            sent = true;
            this.push(bytes);
            this.push(null);
          },
        });
  // undici destroys the body with the request's error. The request reports that error, so it is ignored here.
  body?.on("error", () => undefined);
  try {
    const ending = signal ? AbortSignal.any([signal, deadline]) : deadline;
    const answer = async (): Promise<Answer> => {
      const response = await request(url, {
        method,
        dispatcher: options.dispatcher,
        signal: ending,
        headers: {
          ...options.headers,
          ...(bytes === null ? {} : { "content-type": "application/json", "content-length": String(bytes.length) }),
        },
        ...(body === null ? {} : { body }),
      });
      const text = await response.body.text();
      return { kind: "answer", status: response.statusCode, headers: flatten(response.headers), text };
    };
    return await unlessAborted(answer(), ending);
  } catch (error) {
    body?.destroy();
    return { kind: "no-answer", sent, detail: explain(error, timeoutMs, deadline, signal) };
  }
}

/** The body of a good answer that arrives bit by bit. */
export interface EventStream {
  readonly kind: "stream";
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Ends the connection. */
  close(): void;
  /** What an error means that `chunks` threw. */
  explain(error: unknown): string;
}

/**
 * Opens a stream of server-sent events. Never rejects.
 * @param timeoutMs until the answer begins.
 * @param idleMs between two parts of it; then `chunks` throws.
 */
export async function openStream(
  options: Omit<ExchangeRequest, "method" | "payload"> & { readonly idleMs: number },
): Promise<EventStream | Answer | NoAnswer> {
  const { url, timeoutMs, idleMs, signal } = options;
  if (signal?.aborted) {
    return { kind: "no-answer", sent: false, detail: "cancelled before it was sent" };
  }
  const cancel = new AbortController();
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), timeoutMs);
  try {
    const ending = AbortSignal.any([cancel.signal, deadline.signal, ...(signal ? [signal] : [])]);
    const response = await unlessAborted(
      request(url, {
        method: "GET",
        dispatcher: options.dispatcher,
        signal: ending,
        headers: { ...options.headers, accept: "text/event-stream" },
        bodyTimeout: idleMs,
      }),
      ending,
    );
    const headers = flatten(response.headers);
    if (response.statusCode !== 200 || !/^text\/event-stream/i.test(headers["content-type"] ?? "")) {
      return { kind: "answer", status: response.statusCode, headers, text: await response.body.text() };
    }
    return {
      kind: "stream",
      chunks: response.body,
      close: () => cancel.abort(),
      explain: (error) => explain(error, idleMs, deadline.signal, signal),
    };
  } catch (error) {
    return { kind: "no-answer", sent: true, detail: explain(error, timeoutMs, deadline.signal, signal) };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Settles as the work does, or rejects when the signal aborts. undici itself heeds a signal only once it is connected: the
 * caller of a request whose connection is never made would wait for as long as that takes. It is not sent later either,
 * because undici asks the signal again before it sends.
 */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function flatten(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), Array.isArray(value) ? value.join(", ") : value]],
    ),
  );
}

function explain(error: unknown, timeoutMs: number, deadline: AbortSignal, signal: AbortSignal | undefined): string {
  if (signal?.aborted) {
    return "cancelled while waiting for the answer";
  }
  if (deadline.aborted) {
    return `no answer within ${timeoutMs} ms`;
  }
  if (!(error instanceof Error)) {
    return String(error);
  }
  const code = (error as NodeJS.ErrnoException).code;
  const causes = error instanceof AggregateError ? error.errors.map(String).join("; ") : "";
  const text = [error.message || error.name, causes].filter(Boolean).join(": ");
  return code && !text.includes(code) ? `${text} (${code})` : text;
}
