import { z } from "zod";
import type { Outages } from "./outages.ts";
import { kindOf, QueueError } from "./queue-error.ts";

export interface FunctionAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Calls an edge function; with `body` by POST, else by GET. Answers a refusal of this one task. @throws QueueError */
export type FunctionCall = (name: string, body?: object) => Promise<FunctionAnswer>;

const TIMEOUT_MS = 15_000;
/** They concern the task: it is gone, or another caller has it. */
const ABOUT_THE_TASK = new Set([403, 404, 409]);
const refusal = z.object({ error: z.unknown(), message: z.string() }).partial();

export interface Caller {
  readonly supabaseUrl: string;
  readonly publicKey: string;
  /** A user's JWT or personal access token. */
  readonly accessToken: string;
}

export function createFunctionCall(caller: Caller, outages: Outages, send: typeof fetch = fetch): FunctionCall {
  const headers = {
    apikey: caller.publicKey,
    authorization: `Bearer ${caller.accessToken}`,
    "content-type": "application/json",
  };

  function failed(error: QueueError): QueueError {
    outages.failed(error);
    return error;
  }

  return async (name, body) => {
    const request =
      body === undefined ? { method: "GET", headers } : { method: "POST", headers, body: JSON.stringify(body) };
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    let status: number;
    let text: string;
    try {
      const response = await send(`${caller.supabaseUrl}/functions/v1/${name}`, { ...request, signal });
      ({ status } = response);
      text = await response.text();
    } catch (error) {
      throw failed(new QueueError("unreachable", name, 0, String((error as Error).cause ?? error), error));
    }
    const answer = parse(text);
    if (status < 400 || ABOUT_THE_TASK.has(status)) {
      outages.answered(name);
      return { status, body: answer };
    }
    throw failed(new QueueError(kindOf(status, ""), name, status, refusal.safeParse(answer).data?.message ?? text));
  };
}

function parse(text: string): unknown {
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    return text;
  }
}
