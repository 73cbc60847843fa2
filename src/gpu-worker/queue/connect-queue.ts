import type { Logger } from "pino";
import { findTaskType } from "../../task-types/task-types.ts";
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
  /** @param types the names of the types that the worker can do. @throws SettingsError */
  open(types: readonly string[], logger: Logger): Promise<OpenedQueue>;
}

type QueueSettings = Pick<
  GpuWorkerSettings,
  "workerId" | "localFile" | "accessToken" | "supabaseUrl" | "supabaseKey" | "workerToken" | "videoBucket"
>;

export function connectQueue(settings: QueueSettings): Connection {
  const { localFile, workerId } = settings;
  if (localFile !== null) {
    return { logSender: null, open: (types) => openFile(localFile, workerId, types) };
  }
  const { accessToken } = settings;
  const client = connect(settings);
  if (accessToken !== null) {
    return {
      logSender: null,
      open: (types, logger) => Promise.resolve(openAsUser(settings, accessToken, types, logger)),
    };
  }
  return {
    logSender: createLogSender(client, workerId),
    async open(types, logger) {
      const outages = createOutages(logger);
      return {
        queue: createPostgresQueue(client, workerId, outages),
        fileStore: createSupabaseFileStore(createUploads(client, settings.videoBucket, outages)),
        stateTypes: createTypeStatement(client, workerId, outages, types),
        close: () => undefined,
      };
    },
  };
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
  const usable = types.filter((name) => findTaskType(name)?.needs.includes("network") !== true);
  const call = createFunctionCall({ supabaseUrl, publicKey, accessToken }, outages);
  return {
    queue: createFunctionsQueue(call, settings.workerId, usable),
    fileStore: createSupabaseFileStore(createUploads({ storage, functions }, settings.videoBucket, outages)),
    close: () => undefined,
  };
}

/** A worker in a pod does not load the program that reads such files. */
async function openFile(file: string, workerId: string, types: readonly string[]): Promise<OpenedQueue> {
  const { openLocalQueue } = await import("./open-local-queue.ts");
  try {
    return openLocalQueue(file, workerId, types);
  } catch (error) {
    throw new SettingsError(error instanceof Error ? error.message : String(error));
  }
}
