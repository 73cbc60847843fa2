import { FunctionFailure } from "./failure.ts";
import { type Body, readBody } from "./fields.ts";
import {
  callerHeaders,
  type FunctionClient,
  type FunctionContext,
  type FunctionHandler,
  refusal,
} from "./function-context.ts";

/**
 * A function for workers: POST with a JSON object. `caller` is the client with which the database checks the caller's
 * permissions. A FunctionFailure becomes `{error, message, field?}` with its status; the host reports other errors.
 */
export function workerFunction(
  name: string,
  handle: (
    body: Body,
    caller: FunctionClient,
    context: FunctionContext,
    headers: Readonly<Record<string, string>>,
  ) => Promise<Response>,
): FunctionHandler {
  return async (request, context) => {
    if (request.method !== "POST") {
      return refusal(405, "method_not_allowed", `${name} accepts only POST`);
    }
    try {
      const headers = callerHeaders(request);
      return await handle(await readBody(request), context.asCaller(headers), context, headers);
    } catch (error) {
      if (error instanceof FunctionFailure) {
        return refusal(error.status, error.code, error.message, error.field);
      }
      throw error;
    }
  };
}
