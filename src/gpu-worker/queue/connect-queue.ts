import type { Logger } from "pino";
import type { TaskType } from "../../task-types/task-type.ts";
import { type LogSender, createLogSender } from "../log-sender.ts";
import { SettingsError, type GpuWorkerSettings } from "../settings.ts";
import { connect } from "./connection.ts";
import type { FileStore } from "./file-store.ts";
import { createFunctionCall } from "./function-call.ts";
import { createFunctionsQueue } from "./functions-queue.ts";
import { createOutages } from "./outages.ts";
import { createPostgresQueue } from "./postgres-queue.ts";
import type { Queue } from "./queue.ts";
import { createSupabaseFileStore } from "./supabase-file-store.ts";
import { createTypeStatement } from "./task-types.ts";
import { createUploads } from "./uploads.ts";

export interface OpenedQueue {
  readonly queue: Queue;
  readonly fileStore: FileStore;
  /** Writes what this worker can do, before its first claim; left out: each claim says it. @throws QueueError */
  readonly stateTypes?: () => Promise<void>;
  close(): void;
}

/** Where the queue is, before it is used. */
export interface Connection {
  /** Null: the logs stay on this machine. */
  readonly logSender: LogSender | null;
  /** @param types those that the worker can do. @throws SettingsError */
  open(types: readonly TaskType[], logger: Logger): Promise<OpenedQueue>;
}

type QueueSettings = Pick<
  GpuWorkerSettings,
  | "workerId"
  | "localFile"
  | "accessToken"
  | "supabaseUrl"
  | "supabaseKey"
  | "workerToken"
  | "videoBucket"
  | "stuckTimeoutSec"
>;

export function connectQueue(settings: QueueSettings): Connection {
  const { localFile, workerId } = settings;
  if (localFile !== null) {
    return { logSender: null, open: (types) => openFile(localFile, settings, types) };
  }
  const { accessToken } = settings;
  const client = connect(settings);
  if (accessToken !== null) {
    return {
      logSender: null,
      open: (types, logger) => Promise.resolve(openAsUser(settings, accessToken, namesOf(types), logger)),
    };
  }
  return {
    logSender: createLogSender(client, workerId),
    async open(types, logger) {
      const outages = createOutages(logger);
      return {
        queue: createPostgresQueue(client, workerId, outages),
        fileStore: createSupabaseFileStore(createUploads(client, settings.videoBucket, outages)),
        stateTypes: createTypeStatement(client, workerId, outages, namesOf(types)),
        close: () => undefined,
      };
    },
  };
}

function namesOf(types: readonly TaskType[]): string[] {
  return types.map(({ name }) => name);
}

/** The user's token goes to the edge functions alone: storage takes none that is no JWT. */
function openAsUser(
  settings: QueueSettings,
  accessToken: string,
  types: readonly string[],
  logger: Logger,
): OpenedQueue {
  const { supabaseUrl, supabaseKey: publicKey } = settings;
  const outages = createOutages(logger);
  const { storage, functions } = connect(settings);
  functions.setAuth(accessToken);
  const call = createFunctionCall({ supabaseUrl, publicKey, accessToken }, outages);
  return {
    queue: createFunctionsQueue(call, settings.workerId, types),
    fileStore: createSupabaseFileStore(createUploads({ storage, functions }, settings.videoBucket, outages)),
    close: () => undefined,
  };
}

/** A worker in a pod does not load the program that reads such files. */
async function openFile(
  file: string,
  { workerId, stuckTimeoutSec }: QueueSettings,
  types: readonly TaskType[],
): Promise<OpenedQueue> {
  const { openLocalQueue } = await import("./open-local-queue.ts");
  try {
    return openLocalQueue(file, workerId, types, stuckTimeoutSec);
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : String(error));
  }
}
