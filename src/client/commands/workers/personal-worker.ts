import { randomBytes } from "node:crypto";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import type { WorkerRunFlags } from "./worker-flags.ts";
import { runWorkerProcess } from "./worker-process.ts";
import { requireEngine, processSettings } from "./worker-settings.ts";

/** Whether a token opens every row: a secret key, or a JWT with such a role. Only the server knows whether it is genuine. */
export function isServiceKey(token: string): boolean {
  if (token.startsWith("sb_secret_")) {
    return true;
  }
  try {
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { role?: unknown };
    return claims.role === "service_role" || claims.role === "supabase_admin";
  } catch {
    return false;
  }
}

/** Works for one user with that user's token; the server gives it tasks of that user's projects only. */
export async function runPersonalWorker(context: Context, options: WorkerRunFlags, token: string): Promise<void> {
  const { output, env } = context;
  const { SUPABASE_URL: url, SUPABASE_ANON_KEY: anonKey, SUPABASE_VIDEO_BUCKET: bucket } = env;
  if (!url || !anonKey) {
    const [name, flag] = url ? ["SUPABASE_ANON_KEY", "--supabase-anon-key"] : ["SUPABASE_URL", "--supabase-url"];
    throw new ClientError(EXIT.usage, `${name} is not set`, `Set it, or give ${flag}.`);
  }
  if (options.pool !== undefined) {
    throw new ClientError(EXIT.usage, "--pool: a user's own machine works for its user's projects, in any pool");
  }
  const id = options.id ?? `box-${randomBytes(4).toString("hex")}`;
  const engine = requireEngine(context, options);
  const settings = processSettings(context, options);
  const reason = await runWorkerProcess(context, {
    id,
    level: settings.level,
    env: {
      WORKER_ID: id,
      SUPABASE_URL: url,
      SUPABASE_ANON_KEY: anonKey,
      WORKER_ACCESS_TOKEN: token,
      ...(bucket && { SUPABASE_VIDEO_BUCKET: bucket }),
      WORKER_ENGINE: engine,
      ...settings.env,
    },
    greeting: `worker ${id} works for the tasks of its user; Ctrl-C gives its task back and ends it`,
  });
  output.note(`gpu-pool: worker ${id} has left: ${reason}`);
}
