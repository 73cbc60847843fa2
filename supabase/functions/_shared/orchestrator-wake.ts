import { callDatabase, FunctionFailure } from "./failure.ts";
import { ANY_TEXT, type Body, optionalText } from "./fields.ts";
import { type FunctionHandler, refusal } from "./function-context.ts";

const LONGEST_BODY_CHARS = 1_000;
/** As set_wake_secret accepts it. */
const SECRET = /^[!-~]{32,200}$/;

const MESSAGES: Readonly<Record<string, string>> = {
  requested: "A Temporal worker runs one cycle of the pool",
  runs: "The pool runs already, so nothing is to be done",
  shut_down: "The pool was shut down and stays so. gpu-pool pool start or gpu-pool cycle begins it anew",
};

/**
 * `{pool?}` → `{pool, outcome, message}`: asks for one cycle of the pool, as a timer such as pg_cron does. The bearer is the
 * secret of set_wake_secret and nothing else. 503 while no Temporal worker process gives signs of life.
 */
export const orchestratorWake: FunctionHandler = async (request, context) => {
  if (request.method !== "POST") {
    return refusal(405, "method_not_allowed", "orchestrator-wake accepts only POST");
  }
  try {
    const secret = bearerOf(request);
    const pool = optionalText(await readShortBody(request), "pool", ANY_TEXT);
    const { outcome, ...rest } = await callDatabase(context.asService(), "request_wake", {
      p_secret: secret,
      p_pool: pool,
    });
    if (outcome === "no_process") {
      const message = "no Temporal worker process has given a sign of life for a minute. Start one: gpu-pool run";
      return refusal(503, "no_worker_process", message);
    }
    const answer = { ...rest, outcome, message: MESSAGES[String(outcome)] };
    return Response.json(answer, { status: outcome === "requested" ? 202 : 200 });
  } catch (error) {
    if (error instanceof FunctionFailure) {
      return refusal(error.status, error.code, error.message, error.field);
    }
    throw error;
  }
};

function bearerOf(request: Request): string {
  const bearer = /^Bearer\s+(.*)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
  if (!SECRET.test(bearer)) {
    throw new FunctionFailure(401, "unauthorized", "the bearer must be the secret that may wake pools");
  }
  return bearer;
}

/** No body counts as one without fields. */
async function readShortBody(request: Request): Promise<Body> {
  const text = await request.text();
  if (text.length > LONGEST_BODY_CHARS) {
    const message = `the body must have at most ${LONGEST_BODY_CHARS} characters`;
    throw new FunctionFailure(413, "too_long", message, "body");
  }
  try {
    const body: unknown = JSON.parse(text === "" ? "{}" : text);
    if (typeof body === "object" && body !== null && !Array.isArray(body)) {
      return body as Body;
    }
  } catch {
    // Reported below.
  }
  throw new FunctionFailure(400, "invalid_request", "body must be a JSON object", "body");
}
