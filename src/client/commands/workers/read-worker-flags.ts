import { ClientError, EXIT } from "../../errors.ts";
import { REFUSED, type WorkerRunFlags } from "./worker-flags.ts";

type Given = WorkerRunFlags & Readonly<Record<string, unknown>>;

/** The flags under one spelling each. @param isLocal whether the tasks are in a file. @throws ClientError naming a flag that this worker does not have, and why */
export function readWorkerFlags(given: Given, isLocal: boolean): WorkerRunFlags {
  for (const [name, why] of Object.entries(REFUSED)) {
    // Commander takes "no-" as the denial of the other flag.
    const isDenial = name.startsWith("no-");
    const value = given[camel(isDenial ? name.slice(3) : name)];
    if (value !== undefined && (value === false) === isDenial) {
      throw new ClientError(EXIT.usage, `--${name}: ${why}`);
    }
  }
  const token = given.supabaseAccessToken ?? textOf(given["reighAccessToken"]);
  const id = given.id ?? textOf(given["worker"]);
  const { deleteDb, migrateOnly } = given;
  if (!isLocal && (deleteDb || migrateOnly)) {
    throw new ClientError(EXIT.usage, `${deleteDb ? "--delete-db" : "--migrate-only"} goes with --db-type sqlite`);
  }
  if (isLocal && (token !== undefined || given.supabaseUrl !== undefined)) {
    throw new ClientError(
      EXIT.usage,
      "--db-type sqlite works without a server, so it takes neither --supabase-url nor --supabase-access-token",
      "Leave them out, or leave out --db-type sqlite.",
    );
  }
  return {
    ...given,
    skipCleanup: given.skipCleanup === true || given["skip_cleanup"] === true,
    ...(token !== undefined && { supabaseAccessToken: token }),
    ...(id !== undefined && { id }),
  };
}

function camel(name: string): string {
  return name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
