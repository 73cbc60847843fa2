import { FunctionFailure } from "./failure.ts";
import { callerHeaders, type FunctionContext, type FunctionHandler, refusal } from "./function-context.ts";

interface Route {
  /** The secret for heartbeats, if the path carries one. */
  readonly secret: string | null;
  readonly kind: "rest" | "functions";
  readonly name: string;
}

const HEARTBEAT = "rpc/func_worker_heartbeat_with_logs";
/** The headers that PostgREST shapes its answer by. */
const FORWARDED = ["accept", "accept-profile", "prefer", "range", "range-unit"];
const CHILDREN = /^cs\.\{\s*"orchestrator_task_id_ref"\s*:\s*"([0-9a-f-]{36})"\s*\}$/i;

function routeOf(request: Request): Route {
  const { pathname } = new URL(request.url);
  const found = /\/old[-_]worker(?:\/(?<secret>[^/]+))?\/(?<kind>rest|functions)\/v1\/(?<name>.+?)\/?$/.exec(pathname);
  if (found?.groups === undefined) {
    throw new FunctionFailure(404, "not_found", "there is nothing at this address; see docs/compatibility.md");
  }
  const { secret, kind, name } = found.groups;
  return { secret: secret ?? null, kind: kind as Route["kind"], name: name! };
}

const NO_COLUMN = /^(?:select|order|limit|offset|or|and|p_\w+)$/;

/** Adds the columns of filters and of the order to the selected ones: of a function's rows PostgREST knows no others. */
function selectWhatIsUsed(query: URLSearchParams): void {
  const select = query.get("select") ?? "*";
  const selected = select.split(",").map((column) => column.trim());
  if (selected.includes("*")) {
    return;
  }
  const ordered = (query.get("order") ?? "").split(",").map((term) => term.split(".")[0]!.trim());
  const filtered = [...query.keys()].filter((name) => !NO_COLUMN.test(name));
  const columns = new Set([...selected, ...ordered, ...filtered].filter((column) => /^\w/.test(column)));
  query.set("select", [...columns].join(","));
}

/**
 * The argument and the query of a read. The filter that names the rows becomes the argument: the database finds them by an index,
 * and knows a user's machine by another id than the machine itself.
 */
function readQuery(query: URLSearchParams): string {
  const named = [
    ["p_id", "id", /^eq\.(.+)$/],
    ["p_worker_id", "worker_id", /^eq\.(.+)$/],
    ["p_parent_id", "parent_id", /^eq\.(.+)$/],
    ["p_parent_id", "params", CHILDREN],
  ] as const;
  for (const [argument, column, filter] of named) {
    const value = query.getAll(column).length === 1 ? filter.exec(query.get(column)!)?.[1] : undefined;
    if (value !== undefined) {
      query.delete(column);
      query.set(argument, value);
      break;
    }
  }
  query.delete("apikey");
  selectWhatIsUsed(query);
  return query.toString();
}

/** An escape in JSON: a surrogate pair, half of one, or any other. */
const ESCAPE =
  /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(?<half>u[dD][89a-fA-F][\da-fA-F]{2})|[^])/g;

/**
 * A heartbeat's body in which half of a surrogate pair is replaced: PostgREST would refuse it, and the whole heartbeat
 * with it. The database itself judges everything else. The body is not parsed, because that would round long numbers.
 */
function withWholeCharacters(body: string): string {
  return body.replace(ESCAPE, (escape, half?: string) => (half === undefined ? escape : String.raw`\ufffd`));
}

async function rest(request: Request, { secret, name }: Route, context: FunctionContext): Promise<Response> {
  const isHeartbeat = name === HEARTBEAT && request.method === "POST";
  if (!isHeartbeat && (name !== "tasks" || (request.method !== "GET" && request.method !== "HEAD"))) {
    const message = "only reads of tasks and the heartbeat with logs are served here; a worker writes by the functions";
    throw new FunctionFailure(403, "forbidden", message);
  }
  const headers: Record<string, string> = callerHeaders(request);
  for (const each of FORWARDED) {
    const value = request.headers.get(each);
    if (value !== null) {
      headers[each] = value;
    }
  }
  if (isHeartbeat) {
    const body = withWholeCharacters(await request.text());
    return context.rest("POST", name, { ...headers, ...(secret !== null && { "x-beat-secret": secret }) }, body);
  }
  return context.rest(request.method, `rpc/api_read_tasks?${readQuery(new URL(request.url).searchParams)}`, headers);
}

/**
 * Serves one address to workers of the old protocol, which know a single URL for functions, tables and heartbeats. Below
 * it are `functions/v1/{name}`, `rest/v1/tasks` for reads, and the heartbeat; a secret before them lets heartbeats in.
 * The database checks each caller.
 */
export function oldWorker(functions: Readonly<Record<string, FunctionHandler>>): FunctionHandler {
  return async (request, context) => {
    try {
      const route = routeOf(request);
      if (route.kind === "rest") {
        return await rest(request, route, context);
      }
      const name = route.name.split("/")[0]!.replaceAll("_", "-");
      const handler = Object.hasOwn(functions, name) ? functions[name] : undefined;
      return handler === undefined
        ? refusal(404, "not_found", `There is no function named ${name}`)
        : await handler(request, context);
    } catch (error) {
      if (error instanceof FunctionFailure) {
        return refusal(error.status, error.code, error.message, error.field);
      }
      throw error;
    }
  };
}
