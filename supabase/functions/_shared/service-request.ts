import { callDatabase } from "./failure.ts";
import { optionalObject, optionalText, text, UUID } from "./fields.ts";
import type { FunctionHandler } from "./function-context.ts";
import { workerFunction } from "./worker-function.ts";

const SERVICE = { pattern: /^[^]{1,100}$/, wanted: "a name of 1 to 100 characters" };
const REQUEST_ID = { pattern: /^[^]{1,500}$/, wanted: "a text of 1 to 500 characters" };
const MARK = { pattern: /^[^]{1,2000}$/, wanted: "a text of 1 to 2000 characters" };

/**
 * `{task_id, lease_token, service, request?}` → `{held, task_status, request}`: the last request of the task to this paid service.
 * A given `request`, `{request_id?, mark?}`, is kept first, and null forgets the last one; both need the open lease.
 */
export const serviceRequest: FunctionHandler = workerFunction("service-request", async (body, caller) => {
  const request = optionalObject(body, "request") ?? {};
  return Response.json(
    await callDatabase(caller, "api_service_request", {
      p_task_id: text(body, "task_id", UUID),
      p_lease_token: text(body, "lease_token", UUID),
      p_service: text(body, "service", SERVICE),
      p_keeps: body["request"] !== undefined,
      p_request_id: optionalText(request, "request_id", REQUEST_ID),
      p_mark: optionalText(request, "mark", MARK),
    }),
  );
});
