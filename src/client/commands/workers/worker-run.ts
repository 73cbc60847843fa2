import { externalStore } from "../../../supabase/external-store.ts";
import type { Context } from "../../context.ts";
import { localFile } from "../../local/local-file.ts";
import { poolName } from "../../pool-name.ts";
import { registerExternalWorker } from "./external-worker.ts";
import { runLocalWorker } from "./local-worker.ts";
import { isServiceKey, runPersonalWorker } from "./personal-worker.ts";
import { readWorkerFlags } from "./read-worker-flags.ts";
import type { WorkerRunFlags } from "./worker-flags.ts";
import { runWorkerProcess } from "./worker-process.ts";
import { processSettings } from "./worker-settings.ts";

/** Runs a worker on this machine, for a pool, for one user, or for a file of tasks. @throws ClientError, ConfigError */
export async function runWorker(context: Context, given: WorkerRunFlags): Promise<void> {
  const file = localFile(context, given);
  const options = readWorkerFlags(given as WorkerRunFlags & Readonly<Record<string, unknown>>, file !== null);
  if (file !== null) {
    await runLocalWorker(context, options, file);
    return;
  }
  takeConnection(context, options);
  // A flag shows in the list of processes.
  const token = options.supabaseAccessToken ?? context.env["WORKER_ACCESS_TOKEN"];
  if (token !== undefined && !isServiceKey(token)) {
    await runPersonalWorker(context, options, token);
    return;
  }
  await runPoolWorker(context, options);
}

async function runPoolWorker(context: Context, options: WorkerRunFlags): Promise<void> {
  const settings = processSettings(context, options);
  const env = await registerExternalWorker(context, options, { needsEngine: true });
  const id = env["WORKER_ID"] ?? "";
  let reason = "its process could not be started";
  try {
    const greeting = `worker ${id} works for pool ${poolName(context, options)}; Ctrl-C gives its task back and ends it`;
    reason = await runWorkerProcess(context, { id, greeting, ...settings, env: { ...env, ...settings.env } });
  } finally {
    await externalStore(await context.connections.database()).remove(id, reason);
  }
  context.output.note(`gpu-pool: worker ${id} has left: ${reason}`);
}

/** A flag counts before the variable of the same meaning. */
function takeConnection({ env }: Context, flags: WorkerRunFlags): void {
  const { engine, supabaseUrl, supabaseAnonKey, supabaseAccessToken: token } = flags;
  const given = {
    WORKER_ENGINE: engine,
    SUPABASE_URL: supabaseUrl,
    SUPABASE_ANON_KEY: supabaseAnonKey,
    SUPABASE_SERVICE_ROLE_KEY: token !== undefined && isServiceKey(token) ? token : undefined,
  };
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) {
      env[name] = value;
    }
  }
}
