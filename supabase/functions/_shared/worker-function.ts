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
 * A function as workers call it: POST with a JSON object. The database judges the caller through `caller`. What is
 * thrown as FunctionFailure becomes `{error, message, field?}` with its status; anything else is the host's to report.
 */
export function workerFunction(
  name: string,
  handle: (body: Body, caller: FunctionClient, context: FunctionContext) => Promise<Response>,
): FunctionHandler {
  return async (request, context) => {
    if (request.method !== "POST") return refusal(405, "method_not_allowed", `${name} takes POST`);
    try {
      return await handle(await readBody(request), context.asCaller(callerHeaders(request)), context);
    } catch (error) {
      if (error instanceof FunctionFailure) return refusal(error.status, error.code, error.message, error.field);
      throw error;
    }
  };
}
