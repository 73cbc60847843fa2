import { tmpdir } from "node:os";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { z } from "zod";
import type { FuseSettings } from "./fuse.ts";
import type { InputsOptions } from "./inputs/inputs.ts";
import type { ReplicateSettings } from "./services/replicate.ts";

export interface GpuWorkerSettings {
  readonly workerId: string;
  /** The file of tasks in local mode; null: the queue is at `supabaseUrl`. */
  readonly localFile: string | null;
  /** The JWT or personal access token of a user, whose own machine this is. */
  readonly accessToken: string | null;
  /** Empty in local mode. */
  readonly supabaseUrl: string;
  /** Sent as `apikey`: the public key, or the service key of a worker without a token. */
  readonly supabaseKey: string;
  /** The worker's own credential; null when it uses the service key instead. */
  readonly workerToken: string | null;
  readonly videoBucket: string;
  readonly logLevel: string;
  readonly engine: "preview";
  /** The only types to do, of those that it can do; null: all of them. */
  readonly taskTypes: readonly string[] | null;
  readonly pollMs: number;
  readonly heartbeatMs: number;
  /** Work is done in folders below it. */
  readonly outputDir: string;
  /** Whether the environment names it; otherwise it is this user's own below the system's temporary folder. */
  readonly isOutputDirGiven: boolean;
  readonly inputs: InputsOptions;
  /** Null: the log goes to no files. */
  readonly logDir: string | null;
  /** Whether the files of every task are kept. */
  readonly keepsFiles: boolean;
  /** Whole paths of modules that add task types. */
  readonly taskTypeModules: readonly string[];
  /** Null: types that Replicate does are not done. */
  readonly replicate: ReplicateSettings | null;
  readonly maxLifetimeSec: number | null;
  /** In local mode, where no pool says it: the limit of types that have none. */
  readonly stuckTimeoutSec: number;
  readonly ffmpegPath: string | null;
  /** Null outside a pod. */
  readonly fuse: FuseSettings | null;
  /** Variables that are not set although POD_ENDS_AT is; without them the pod has no fuse. */
  readonly missingForFuse: readonly string[];
}

/** The environment is wrong. The message names each wrong variable, its value unless it is secret, and what is allowed. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}

const POLL_MS = 1_000;
/** A worker sees at once that the file has changed; it also asks this often. */
const LOCAL_POLL_MS = 10_000;

const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
const SECRETS = new Set([
  "SUPABASE_ANON_KEY",
  "WORKER_TOKEN",
  "WORKER_ACCESS_TOKEN",
  "SUPABASE_SERVICE_ROLE_KEY",
  "RUNPOD_API_KEY",
  "REPLICATE_API_TOKEN",
]);

const ALLOWED = {
  WORKER_ID: "1 to 128 letters, digits, dots, dashes or underscores",
  SUPABASE_URL: "an http or https address such as https://project.supabase.co",
  SUPABASE_ANON_KEY: "the project's public key",
  WORKER_TOKEN: "the token that was issued for this worker",
  SUPABASE_SERVICE_ROLE_KEY: "the project's service key",
  WORKER_ACCESS_TOKEN: "a user's JWT or personal access token, without blanks",
  DB_TYPE: "'supabase' or, for a queue in a file on this machine, 'sqlite'",
  SQLITE_DB_PATH_ENV: "the path of the file of tasks",
  SUPABASE_VIDEO_BUCKET: "the name of a storage bucket: letters, digits, dots, dashes and underscores",
  POSTGRES_TABLE_NAME:
    "only 'tasks', because claims and completions are database functions that are written for that table",
  LOG_LEVEL: `one of ${LOG_LEVELS.join(", ")}`,
  WORKER_ENGINE: "'preview', the one engine that there is; it is never chosen by default, because it runs no model",
  ALLOW_PREVIEW: "only '1'",
  WORKER_TASK_TYPES: "names of task types, separated by commas or as a JSON array",
  WORKER_POLL_MS: "a whole number of milliseconds from 50 to 60000",
  WORKER_HEARTBEAT_MS: "a whole number of milliseconds from 100 to 60000",
  WORKER_OUTPUT_DIR: "a directory that the worker may write to",
  WORKER_INPUT_MAX_MB: "a whole number of megabytes from 1 to 100000",
  WORKER_INPUT_TIMEOUT_SEC: "a whole number of seconds from 1 to 3600",
  WORKER_INPUT_DIRS: `whole paths of folders, with ${JSON.stringify(delimiter)} between them`,
  TASK_STUCK_TIMEOUT_SEC: "a whole number of seconds from 1 to 2147483",
  WORKER_MAX_LIFETIME_SEC: "a whole number of seconds from 1 to 2147483",
  WORKER_LOG_DIR: "a folder that the worker may write to",
  WORKER_KEEP_FILES: "0 or 1",
  TASK_TYPE_MODULES: `paths of JavaScript modules, with ${JSON.stringify(delimiter)} between them`,
  REPLICATE_API_TOKEN: "a token of Replicate, without blanks",
  REPLICATE_API_URL: "an http or https address such as https://api.replicate.com/v1",
  FFMPEG_PATH: "the path of an ffmpeg program",
  POD_ENDS_AT: "an instant in UTC such as 2030-01-31T12:00:00.000Z",
  RUNPOD_POD_ID: "the pod's id: 1 to 128 letters, digits, dashes or underscores",
  RUNPOD_API_KEY: "the pod's own key, without blanks",
  RUNPOD_API_URL: "an http or https address such as https://api.runpod.io/v2",
} as const;

function wholeNumber(min: number, max: number) {
  return z
    .string()
    .regex(/^\d{1,9}$/)
    .transform(Number)
    .pipe(z.int().min(min).max(max));
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

const schema = z.object({
  WORKER_ID: z.string().regex(/^[A-Za-z0-9._-]{1,128}$/),
  SUPABASE_URL: z.url({ protocol: /^https?$/ }).optional(),
  SUPABASE_ANON_KEY: z.string().optional(),
  WORKER_TOKEN: z.string().optional(),
  SUPABASE_SERVICE_ROLE_KEY: z.string().optional(),
  WORKER_ACCESS_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]+$/)
    .optional(),
  DB_TYPE: z.enum(["supabase", "sqlite"]).default("supabase"),
  SQLITE_DB_PATH_ENV: z.string().default("tasks.db"),
  SUPABASE_VIDEO_BUCKET: z
    .string()
    .regex(/^[A-Za-z0-9._-]+$/)
    .default("videos"),
  POSTGRES_TABLE_NAME: z.literal("tasks").default("tasks"),
  LOG_LEVEL: z.enum(LOG_LEVELS).default("info"),
  WORKER_ENGINE: z.literal("preview"),
  ALLOW_PREVIEW: z.literal("1").optional(),
  WORKER_TASK_TYPES: z
    .string()
    .transform((text) => (text.startsWith("[") ? parsedJson(text) : text.split(",").map((name) => name.trim())))
    .pipe(z.array(z.string().min(1)))
    .optional(),
  WORKER_POLL_MS: wholeNumber(50, 60_000).optional(),
  WORKER_HEARTBEAT_MS: wholeNumber(100, 60_000).default(20_000),
  WORKER_OUTPUT_DIR: z.string().optional(),
  WORKER_INPUT_MAX_MB: wholeNumber(1, 100_000).default(2_000),
  WORKER_INPUT_TIMEOUT_SEC: wholeNumber(1, 3_600).default(600),
  WORKER_INPUT_DIRS: z
    .string()
    .transform((text) => text.split(delimiter).filter((folder) => folder !== ""))
    .pipe(z.array(z.string().refine((folder) => isAbsolute(folder))))
    .default([]),
  TASK_STUCK_TIMEOUT_SEC: wholeNumber(1, 2_147_483).default(300),
  WORKER_MAX_LIFETIME_SEC: wholeNumber(1, 2_147_483).optional(),
  WORKER_LOG_DIR: z.string().optional(),
  WORKER_KEEP_FILES: z.enum(["0", "1"]).default("0"),
  TASK_TYPE_MODULES: z
    .string()
    .transform((text) => text.split(delimiter).filter((path) => path.trim() !== ""))
    .default([]),
  REPLICATE_API_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]+$/)
    .optional(),
  REPLICATE_API_URL: z.url({ protocol: /^https?$/ }).default("https://api.replicate.com/v1"),
  FFMPEG_PATH: z.string().optional(),
  POD_ENDS_AT: z.iso.datetime().transform(Date.parse).optional(),
  RUNPOD_POD_ID: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,128}$/)
    .optional(),
  RUNPOD_API_KEY: z
    .string()
    .regex(/^[\x21-\x7e]+$/)
    .optional(),
  RUNPOD_API_URL: z.url({ protocol: /^https?$/ }).default("https://api.runpod.io/v2"),
});

/**
 * Reads the GPU worker's settings from the environment. Empty variables count as unset. Unknown variables are
 * ignored.
 * @throws SettingsError naming every variable that is missing or wrong.
 */
export function readSettings(env: NodeJS.ProcessEnv = process.env): GpuWorkerSettings {
  const given = Object.fromEntries(
    Object.keys(ALLOWED).flatMap((name) => (env[name] ? [[name, env[name]] as const] : [])),
  );
  const parsed = schema.safeParse(given);
  const problems = parsed.success
    ? [...credentialProblems(parsed.data), ...engineProblems(parsed.data)]
    : [...new Set(parsed.error.issues.map((issue) => describe(String(issue.path[0]), given)))];
  if (!parsed.success || problems.length > 0) {
    throw new SettingsError(problems.join("; "));
  }

  const values = parsed.data;
  const isLocal = values.DB_TYPE === "sqlite";
  return {
    workerId: values.WORKER_ID,
    localFile: isLocal ? resolve(values.SQLITE_DB_PATH_ENV) : null,
    accessToken: values.WORKER_ACCESS_TOKEN ?? null,
    supabaseUrl: values.SUPABASE_URL?.replace(/\/+$/, "") ?? "",
    supabaseKey: values.SUPABASE_SERVICE_ROLE_KEY ?? values.SUPABASE_ANON_KEY ?? "",
    workerToken: values.WORKER_TOKEN ?? null,
    videoBucket: values.SUPABASE_VIDEO_BUCKET,
    logLevel: values.LOG_LEVEL,
    engine: values.WORKER_ENGINE,
    taskTypes: values.WORKER_TASK_TYPES ?? null,
    pollMs: values.WORKER_POLL_MS ?? (isLocal ? LOCAL_POLL_MS : POLL_MS),
    heartbeatMs: values.WORKER_HEARTBEAT_MS,
    outputDir: values.WORKER_OUTPUT_DIR ?? join(tmpdir(), `gpu-worker-${process.getuid?.() ?? "own"}`),
    isOutputDirGiven: values.WORKER_OUTPUT_DIR !== undefined,
    inputs: {
      maxBytes: values.WORKER_INPUT_MAX_MB * 1_000_000,
      timeoutMs: values.WORKER_INPUT_TIMEOUT_SEC * 1_000,
      folders: values.WORKER_INPUT_DIRS,
      ownOrigin: values.SUPABASE_URL === undefined ? null : new URL(values.SUPABASE_URL).origin,
    },
    logDir: values.WORKER_LOG_DIR ?? null,
    keepsFiles: values.WORKER_KEEP_FILES === "1",
    taskTypeModules: values.TASK_TYPE_MODULES.map((path) => resolve(path)),
    replicate: values.REPLICATE_API_TOKEN
      ? { token: values.REPLICATE_API_TOKEN, apiUrl: values.REPLICATE_API_URL.replace(/\/+$/, "") }
      : null,
    stuckTimeoutSec: values.TASK_STUCK_TIMEOUT_SEC,
    maxLifetimeSec: values.WORKER_MAX_LIFETIME_SEC ?? null,
    ffmpegPath: values.FFMPEG_PATH ?? null,
    ...readFuse(values),
  };
}

function readFuse(values: z.infer<typeof schema>): Pick<GpuWorkerSettings, "fuse" | "missingForFuse"> {
  const { POD_ENDS_AT: endsAtMs, RUNPOD_POD_ID: podId, RUNPOD_API_KEY: apiKey, RUNPOD_API_URL: apiUrl } = values;
  if (endsAtMs === undefined) {
    return { fuse: null, missingForFuse: [] };
  }
  if (podId === undefined || apiKey === undefined) {
    return {
      fuse: null,
      missingForFuse: (["RUNPOD_POD_ID", "RUNPOD_API_KEY"] as const).filter((name) => !values[name]),
    };
  }
  return { fuse: { endsAtMs, podId, apiKey, apiUrl: apiUrl.replace(/\/+$/, "") }, missingForFuse: [] };
}

const CREDENTIALS = ["WORKER_TOKEN", "WORKER_ACCESS_TOKEN", "SUPABASE_SERVICE_ROLE_KEY"] as const;

function credentialProblems(values: z.infer<typeof schema>): string[] {
  if (values.DB_TYPE === "sqlite") {
    return [];
  }
  const [first, second] = CREDENTIALS.filter((name) => values[name]);
  if (values.SUPABASE_URL === undefined) {
    return [describe("SUPABASE_URL", {})];
  }
  if (first !== undefined && second !== undefined) {
    return [`${first} and ${second} are both set: give exactly one of the credentials`];
  }
  if (first === undefined) {
    return ["WORKER_TOKEN is not set: give the worker's token (or, in its place, SUPABASE_SERVICE_ROLE_KEY)"];
  }
  return first === "SUPABASE_SERVICE_ROLE_KEY" || values.SUPABASE_ANON_KEY ? [] : [describe("SUPABASE_ANON_KEY", {})];
}

/** In a pod of the simulator, and outside pods, nobody pays for a GPU. */
function engineProblems({ WORKER_ENGINE: engine, ...values }: z.infer<typeof schema>): string[] {
  const { RUNPOD_POD_ID: podId, RUNPOD_API_URL: apiUrl, ALLOW_PREVIEW: isAllowed } = values;
  if (podId === undefined || isAllowed !== undefined || !/(^|\.)runpod\.io$/.test(new URL(apiUrl).hostname)) {
    return [];
  }
  return [`WORKER_ENGINE=${engine}: a rented GPU would only draw previews; set ALLOW_PREVIEW=1 if that is wanted`];
}

function describe(name: string, given: Record<string, string | undefined>): string {
  const allowed = ALLOWED[name as keyof typeof ALLOWED];
  const value = given[name];
  if (value === undefined) {
    return `${name} is not set: expected ${allowed}`;
  }
  if (SECRETS.has(name)) {
    return `${name} is not usable (its value is kept out of this message): expected ${allowed}`;
  }
  // An address may carry a password in its user part.
  return `${name}=${JSON.stringify(value.replace(/\/\/[^@/]*@/, "//***@"))}: expected ${allowed}`;
}
