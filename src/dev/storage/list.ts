import type { Pool } from "pg";
import { z } from "zod";
import type { ObjectMetadata } from "./metadata.ts";

/** The body of a list request, with hosted Supabase's defaults. */
export const listRequest = z.object({
  prefix: z.string().default(""),
  limit: z.int().min(1).max(1000).default(100),
  offset: z.int().min(0).default(0),
  search: z.string().default(""),
  sortBy: z
    .object({
      column: z.enum(["name", "updated_at", "created_at", "last_accessed_at"]).default("name"),
      order: z.enum(["asc", "desc"]).default("asc"),
    })
    .default({ column: "name", order: "asc" }),
});

export type ListRequest = z.infer<typeof listRequest>;

/** A file or a folder directly under the requested prefix. A folder has only a name; its other fields are null. */
export interface ListEntry {
  readonly name: string;
  readonly id: string | null;
  readonly updated_at: Date | null;
  readonly created_at: Date | null;
  readonly last_accessed_at: Date | null;
  readonly metadata: ObjectMetadata | null;
}

/** Lists the entries directly under a prefix: each folder once, files with their metadata. */
export async function listObjects(pool: Pool, bucketId: string, request: ListRequest): Promise<ListEntry[]> {
  const folder = request.prefix.replace(/^\/+|\/+$/g, "");
  const prefix = folder === "" ? "" : `${folder}/`;
  const { column, order } = request.sortBy;
  const { rows } = await pool.query<ListEntry>(
    `with below as (
       select substr(name, length($2) + 1) as rest, id, updated_at, created_at, last_accessed_at, metadata
       from storage.objects where bucket_id = $1 and starts_with(name, $2)
     ), entry as (
       select rest as name, id, updated_at, created_at, last_accessed_at, metadata from below where strpos(rest, '/') = 0
       union all
       select distinct split_part(rest, '/', 1), null::uuid, null::timestamptz, null::timestamptz, null::timestamptz,
         null::jsonb from below where strpos(rest, '/') > 0
     )
     select * from entry where starts_with(lower(name), lower($3))
     order by ${column === "name" ? "" : `${column} ${order} nulls first, `} name collate "C" ${order}
     limit $4 offset $5`,
    [bucketId, prefix, request.search, request.limit, request.offset],
  );
  return rows;
}
