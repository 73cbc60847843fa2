import { z } from "zod";
import type { Database } from "./client.ts";

/** The id of the deployment that this database belongs to. @throws DatabaseError */
export async function readDeploymentId(database: Database): Promise<string> {
  return await database.call("deployment_id", {}, z.guid());
}

/** Tells the database the project's public address, with which the addresses of results begin. @throws DatabaseError */
export async function noteFilesUrl(database: Database, url: string): Promise<void> {
  await database.call("note_files_url", { p_url: url }, z.unknown());
}

/**
 * Reads the id by a direct connection, after a change if one is asked for.
 * @param change an id to take over, or `new` for a random one.
 */
export async function changeDeploymentId(databaseUrl: string, change?: string): Promise<string> {
  // The driver loads slowly, and every command reads the id.
  const { withClient } = await import("./migrate.ts");
  return await withClient(databaseUrl, async (client) => {
    if (change === "new") {
      await client.query("update deployment set id = gen_random_uuid()");
    } else if (change !== undefined) {
      await client.query("update deployment set id = $1", [change]);
    }
    const { rows } = await client.query<{ id: string }>("select deployment_id() as id");
    return z.guid().parse(rows[0]?.id);
  });
}
