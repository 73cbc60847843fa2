import type { ConfigError } from "../config/config.ts";
import type { DatabaseError } from "../supabase/database-error.ts";
import { plain } from "./render/output.ts";
import { ClientError, EXIT, type ExitCode } from "./errors.ts";

/** A proxy answers a failed request with a page. */
const MAX_LINES = 20;

type Environment = Readonly<Record<string, string | undefined>>;
interface Failure {
  readonly exitCode: ExitCode;
  readonly text: string;
}

/** The command's last text and exit code for an error. The stack is added only for LOG_LEVEL debug and trace. */
export function describeError(error: unknown, env: Environment): Failure {
  const failure = classify(error, env);
  const wantsStack = ["debug", "trace"].includes(env["LOG_LEVEL"]?.toLowerCase() ?? "");
  const stack = wantsStack && error instanceof Error ? `\n${stackWithCauses(error)}` : "";
  return { exitCode: failure.exitCode, text: `gpu-pool: ${failure.text}${stack}` };
}

function classify(error: unknown, env: Environment): Failure {
  if (error instanceof ClientError) {
    return failure(error.exitCode, error.message, error.advice);
  }
  if (isNamed<ConfigError>(error, "ConfigError")) {
    const lacksDatabase = error.problems.some(({ variable }) => variable === "SUPABASE_URL") && !env["SUPABASE_URL"];
    return failure(EXIT.usage, error.message, lacksDatabase ? "Or run everything here: gpu-pool dev" : null);
  }
  if (isNamed<DatabaseError>(error, "DatabaseError")) {
    return classifyDatabase(error, env);
  }
  return failure(EXIT.failed, error instanceof Error ? error.message : String(error), null);
}

/** By its name: the Temporal worker of a build has classes of its own. */
function isNamed<E extends Error>(error: unknown, name: string): error is E {
  return error instanceof Error && error.name === name;
}

function classifyDatabase(error: DatabaseError, env: Environment): Failure {
  const url = env["SUPABASE_URL"] ?? "SUPABASE_URL";
  if (error.status === 0) {
    const advice = "Check SUPABASE_URL and that the service runs (gpu-pool dev starts one here).";
    return failure(EXIT.unreachable, `no answer from the database at ${url} (${error.operation})`, advice);
  }
  const { message } = error;
  if (error.status === 401 || error.status === 403) {
    return failure(EXIT.usage, message, `Check that SUPABASE_SERVICE_ROLE_KEY belongs to ${url}.`);
  }
  if (error.status >= 500) {
    return failure(EXIT.unreachable, message, `The service at ${url} cannot work now; try again.`);
  }
  if (error.code === "PT404") {
    return failure(EXIT.notFound, message, null);
  }
  const lacksSchema = ["PGRST202", "PGRST205", "42P01", "42883"].includes(error.code);
  return failure(
    EXIT.failed,
    message,
    lacksSchema ? "The database lacks a part of the schema: gpu-pool db migrate" : null,
  );
}

function failure(exitCode: ExitCode, message: string, advice: string | null): Failure {
  const whole = message.trimEnd().split("\n");
  const left = whole.length - MAX_LINES;
  const lines = [
    ...whole.slice(0, MAX_LINES),
    ...(left > 0 ? [`  … and ${left} lines more`] : []),
    ...(advice === null ? [] : [`  ${advice}`]),
  ];
  return { exitCode, text: lines.map(plain).join("\n") };
}

function stackWithCauses(error: Error): string {
  const own = error.stack ?? error.message;
  return error.cause instanceof Error ? `${own}\ncaused by ${stackWithCauses(error.cause)}` : own;
}
