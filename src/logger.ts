import type { Logger as TemporalLogger, LogLevel, LogMetadata } from "@temporalio/common";
import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";
import { escapedJson } from "../supabase/functions/_shared/text.ts";

const secretKeys = [
  "apiKey",
  "apikey",
  "anonKey",
  "serviceRoleKey",
  "authorization",
  "Authorization",
  "cookie",
  "dbUrl",
  "jwtSecret",
  "password",
  "secret",
  "token",
  "leaseToken",
  "lease_token",
  "workerToken",
  "beatSecret",
  "replicateApiToken",
  '["x-worker-token"]',
  '["x-beat-secret"]',
];

// Pino cannot redact at any depth. Three levels cover `config.supabase.serviceRoleKey` and `req.headers.authorization`.
const redactedPaths = ["", "*.", "*.*."].flatMap((depth) =>
  secretKeys.map((key) => (key.startsWith("[") ? `${depth.replace(/\.$/, "")}${key}` : `${depth}${key}`)),
);

/**
 * A logger of JSON lines: `level` (a word), `time` (ISO), `pid`, `name`, `msg` and the given fields, an error as `err`.
 * Fields with a secret's name are replaced by `[redacted]` down to the third level. Default destination: stdout.
 */
export function createLogger(options: { level: string; name: string; destination?: DestinationStream }): Logger {
  const settings = {
    level: options.level,
    name: options.name,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: redactedPaths, censor: "[redacted]" },
    // A terminal obeys more characters than JSON must escape.
    hooks: { streamWrite: escapedJson },
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}

/** Makes the Temporal SDK log to `logger`: pass the result to `Runtime.install({ logger })`. */
export function temporalLogger(logger: Logger): TemporalLogger {
  function log(level: LogLevel, message: string, meta: LogMetadata = {}): void {
    const { error, ...fields } = meta;
    logger[level.toLowerCase() as Lowercase<LogLevel>](
      error === undefined ? fields : { ...fields, err: error },
      message,
    );
  }
  return {
    log,
    trace: (message, meta) => log("TRACE", message, meta),
    debug: (message, meta) => log("DEBUG", message, meta),
    info: (message, meta) => log("INFO", message, meta),
    warn: (message, meta) => log("WARN", message, meta),
    error: (message, meta) => log("ERROR", message, meta),
  };
}
