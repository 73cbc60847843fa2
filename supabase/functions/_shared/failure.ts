import { storable, UnstorableError } from "./text.ts";
import type { ClientAnswer, FunctionClient } from "./function-context.ts";

/** A refusal that becomes the answer: HTTP status, code for programs, and the wrong field if there is one. */
export class FunctionFailure extends Error {
  readonly status: number;
  readonly code: string;
  readonly field: string | undefined;

  constructor(status: number, code: string, message: string, field?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = field;
  }
}

const CODES: Record<number, string> = {
  400: "invalid_request",
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  409: "conflict",
};

/** Translates an error of the database: a refusal keeps its meaning, any other error becomes 503. */
export function databaseFailure(
  name: string,
  error: NonNullable<ClientAnswer<unknown>["error"]>,
  httpStatus = 0,
): FunctionFailure {
  const { code = "", message, details, hint } = error;
  const status = Number(/^PT(4\d\d)$/.exec(code)?.[1]);
  if (status) {
    const text = hint ? `${message}. ${hint}` : message;
    return new FunctionFailure(status, CODES[status] ?? "refused", text, details || undefined);
  }
  // A 401 without a code comes from the gateway, which does not know the key.
  if (code.startsWith("PGRST3") || (httpStatus === 401 && code === "")) {
    return new FunctionFailure(401, "unauthorized", message);
  }
  if (code === "42501") {
    return new FunctionFailure(403, "forbidden", message);
  }
  if (code === "PGRST102" || code.startsWith("22") || code.startsWith("54")) {
    return new FunctionFailure(400, "invalid_request", message);
  }
  return new FunctionFailure(503, "database_error", `${name} failed (${code || "no answer"}): ${message}`);
}

/** Arguments as the database takes them. @throws FunctionFailure 400 that names the field, as the caller knows it. */
function sendable(args: Record<string, unknown>): Record<string, unknown> {
  try {
    return storable(args);
  } catch (error) {
    if (error instanceof UnstorableError) {
      const field = error.field.replace(/^p_(?:task\.)?/, "");
      throw new FunctionFailure(400, "invalid_request", `${field} ${error.why}`, field);
    }
    throw error;
  }
}

/**
 * Calls a function of the database; texts are made storable. @throws FunctionFailure with the reason when it refuses
 * or fails.
 */
export async function callDatabase(
  client: FunctionClient,
  name: string,
  args: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const { data, error, status } = await client.rpc(name, sendable(args));
  if (error !== null) {
    throw databaseFailure(name, error, status);
  }
  if (typeof data !== "object" || data === null) {
    throw new FunctionFailure(502, "unreadable_answer", `${name} did not answer with an object`);
  }
  return data as Record<string, unknown>;
}
