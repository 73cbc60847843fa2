import { callDatabase, FunctionFailure } from "./failure.ts";
import { readBody, UUID } from "./fields.ts";
import { callerHeaders, type FunctionClient, type FunctionHandler } from "./function-context.ts";

const FILTERS = ["status", "project_id", "limit", "cursor"];

async function create(request: Request, caller: FunctionClient): Promise<Response> {
  const task = await callDatabase(caller, "api_create_task", { p_task: await readBody(request) });
  return Response.json(task, { status: 201 });
}

async function list(query: URLSearchParams, caller: FunctionClient): Promise<Response> {
  for (const name of query.keys()) {
    if (!FILTERS.includes(name)) {
      const message = `${name} is no filter; the filters are ${FILTERS.join(", ")}`;
      throw new FunctionFailure(400, "invalid_request", message, name);
    }
  }
  return Response.json(await callDatabase(caller, "api_list_tasks", { p_filter: Object.fromEntries(query) }));
}

async function one(
  request: Request,
  id: string,
  action: string | undefined,
  caller: FunctionClient,
): Promise<Response> {
  if (!UUID.pattern.test(id)) {
    throw new FunctionFailure(400, "invalid_request", "id must be a UUID", "id");
  }
  const cancels =
    (request.method === "DELETE" && action === undefined) || (request.method === "POST" && action === "cancel");
  if (cancels) {
    return Response.json(await callDatabase(caller, "api_cancel_task", { p_id: id }));
  }
  if (request.method === "GET" && action === undefined) {
    return Response.json(await callDatabase(caller, "api_get_task", { p_id: id }));
  }
  const message = "a task accepts GET, DELETE, and POST to its /cancel";
  throw new FunctionFailure(405, "method_not_allowed", message);
}

async function route(request: Request, caller: FunctionClient): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  // The prefix may be the gateway's /api, a host's /functions/v1, or nothing.
  const [id, action, ...more] = pathname
    .replace(/^.*?\/tasks(?=\/|$)/, "")
    .split("/")
    .filter((part) => part !== "");
  if (more.length > 0 || (action !== undefined && action !== "cancel")) {
    throw new FunctionFailure(404, "not_found", "there is nothing at this address");
  }
  if (id !== undefined) {
    return one(request, id, action, caller);
  }
  if (request.method === "POST") {
    return create(request, caller);
  }
  if (request.method === "GET") {
    return list(searchParams, caller);
  }
  throw new FunctionFailure(405, "method_not_allowed", "/tasks accepts GET and POST");
}

/**
 * The tasks API: POST creates a task (201), GET lists tasks or, with an id, reads one, DELETE or POST …/cancel cancels
 * one. The database checks the caller's permissions. Refusals are `{error: {code, message, field?}}`.
 */
export const tasks: FunctionHandler = async (request, context) => {
  try {
    return await route(request, context.asCaller(callerHeaders(request)));
  } catch (error) {
    if (!(error instanceof FunctionFailure)) {
      throw error;
    }
    const { status, code, message, field } = error;
    return Response.json({ error: { code, message, ...(field !== undefined && { field }) } }, { status });
  }
};
