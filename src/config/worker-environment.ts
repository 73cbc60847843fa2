import { z } from "zod";
import { type Kind, splitOrParse } from "./kinds.ts";

const ENTRY = /^[A-Za-z_][A-Za-z0-9_]*(=[\s\S]*)?$/;
/** A pool's settings are shown to every operator and stand in histories, so none of them may hold a secret. */
const SECRET_NAME = /(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$/i;
const SECRET_VALUE = /^(sb_secret_|gpw_|rpa_|hf_|ghp_|sk-|eyJ)|:\/\/[^/\s:@]*:[^/\s@]+@/;
/** Either the pool sets them itself, or no pod may have them. */
const OURS =
  /^(RUNPOD_|TEMPORAL_|GPU_POOL|OLD_WORKER_URL$|POD_ENDS_AT(_SEC)?$|PUBLIC_KEY$|HEADLESS_WAN2GP_(FOLDER|VENV|ARGS|PACKAGES)$|DB_TYPE$|POSTGRES_TABLE_NAME$|ALERT_WEBHOOK_|WORKER_(ID|TOKEN|CREDENTIAL|ENGINE|TASK_TYPES|HEARTBEAT_MS|POLL_MS|MAX_LIFETIME_SEC)$|SUPABASE_(URL|PUBLIC_URL|ANON_KEY|SERVICE_ROLE_KEY|SERVICE_KEY|DB_URL|JWT_SECRET|VIDEO_BUCKET)$|GATEWAY_)/;

/** Entries NAME=value and NAME, separated by commas; as a JSON array where a value holds a comma. */
export function workerEnvironment(): Kind<readonly string[]> {
  const schema = z.array(z.string().refine((entry) => wrongWith(entry) === null)).readonly();
  return {
    allowed: "NAME or NAME=value, separated by commas or as a JSON array of texts",
    fromText: splitOrParse,
    schema,
    explain(error, value) {
      const [at] = error.issues[0]?.path ?? [];
      const entry: unknown = Array.isArray(value) && typeof at === "number" ? value[at] : undefined;
      return typeof entry === "string" ? wrongWith(entry) : null;
    },
  };
}

/** Why this entry is refused; null: it is not. Never holds the entry's value. */
function wrongWith(entry: string): string | null {
  const [name = ""] = entry.split("=", 1);
  if (!ENTRY.test(entry)) {
    return "each entry must be NAME or NAME=value, the name of letters, digits and underscores";
  }
  if (OURS.test(name)) {
    return `${name} is set by the pool itself, or no pod may have it; leave it out`;
  }
  const value = entry.slice(name.length + 1);
  if (value !== "" && (SECRET_NAME.test(name) || SECRET_VALUE.test(value))) {
    return `${name} looks like a secret, and settings are shown; write ${name} alone and set it where the Temporal worker runs`;
  }
  return null;
}

/**
 * The variables that these entries give a pod.
 * @param own a variable of this process; undefined where it is not set
 * @returns `missing`: names without a value in this process
 */
export function expandEnvironment(
  entries: readonly string[],
  own: (name: string) => string | undefined,
): { readonly values: Readonly<Record<string, string>>; readonly missing: readonly string[] } {
  const pairs = entries.map((entry): [string, string | undefined] => {
    const at = entry.indexOf("=");
    return at === -1 ? [entry, own(entry)] : [entry.slice(0, at), entry.slice(at + 1)];
  });
  return {
    values: Object.fromEntries(pairs.filter((pair): pair is [string, string] => pair[1] !== undefined)),
    missing: pairs.filter(([, value]) => value === undefined).map(([name]) => name),
  };
}
