import { readFile } from "node:fs/promises";
import type pg from "pg";

/** Objects of a database, by name: `column tasks.gate` → `text not null`. */
export type Catalog = Readonly<Record<string, string>>;

export interface Drift {
  readonly object: string;
  readonly kind: "missing" | "different" | "unexpected";
  readonly expected: string | null;
  readonly found: string | null;
}

/** The catalog of a freshly migrated database, as it was written by `npm run generate-types`. */
export const EXPECTED_CATALOG = new URL("catalog.json", import.meta.url);

// A database that had an enum before us keeps it, so casts to text or to an enum are left out of the comparison.
function plain(definition: string) {
  return `regexp_replace(${definition}, '::(text|' || coalesce((select string_agg(typname::text, '|') from pg_type where typtype = 'e' and typnamespace = 'public'::regnamespace), 'text') || ')\\y', '', 'g')`;
}
function isOurs(object: string) {
  return `not exists (select from pg_depend d where d.objid = ${object}.oid and d.deptype = 'e')`;
}
function grants(test: (role: string) => string) {
  return `concat_ws(' ', ${["anon", "authenticated", "service_role"].map((role) => `case when ${test(role)} then '${role}' end`).join(", ")})`;
}
const TABLE_GRANTS = ["select", "insert", "update", "delete"]
  .map((right) => `'; ${right}: ' || ${grants((role) => `has_table_privilege('${role}', c.oid, '${right}')`)}`)
  .join(" || ");

const QUERY = `
  select case c.relkind when 'v' then 'view ' else 'table ' end || c.relname as object,
    case when c.relkind = 'v' then 'security_invoker ' || coalesce('security_invoker=true' = any (c.reloptions)
      or 'security_invoker=on' = any (c.reloptions), false) else 'row-level security ' || c.relrowsecurity end || ${TABLE_GRANTS} as definition
  from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'p') and ${isOurs("c")}
  union all
  select 'column ' || c.relname || '.' || a.attname,
    case t.typtype when 'e' then 'text' else format_type(a.atttypid, a.atttypmod) end || case when a.attnotnull then ' not null' else '' end
  from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_type t on t.oid = a.atttypid
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'p') and a.attnum > 0 and not a.attisdropped and ${isOurs("c")}
  union all
  select 'index ' || c.relname, ${plain("pg_get_indexdef(c.oid)")}
  from pg_class c join pg_index i on i.indexrelid = c.oid
  where c.relnamespace = 'public'::regnamespace and not i.indisprimary
  union all
  select 'constraint ' || c.relname || '.' || k.conname, ${plain("replace(pg_get_constraintdef(k.oid), ' NOT VALID', '')")}
  from pg_constraint k join pg_class c on c.oid = k.conrelid
  where c.relnamespace = 'public'::regnamespace and k.contype in ('c', 'f')
  union all
  select 'domain ' || t.typname, ${plain("pg_get_constraintdef(k.oid)")}
  from pg_constraint k join pg_type t on t.oid = k.contypid
  where t.typnamespace = 'public'::regnamespace
  union all
  select 'trigger ' || c.relname || '.' || t.tgname, ${plain("pg_get_triggerdef(t.oid)")} || '; enabled ' || t.tgenabled::text
  from pg_trigger t join pg_class c on c.oid = t.tgrelid
  where c.relnamespace = 'public'::regnamespace and not t.tgisinternal
  union all
  select 'policy ' || tablename || '.' || policyname,
    concat_ws('; ', permissive, cmd, roles::text, 'using ' || ${plain("qual")}, 'check ' || ${plain("with_check")})
  from pg_policies where schemaname = 'public'
  union all
  select 'function ' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
    concat_ws('; ', 'returns ' || pg_get_function_result(p.oid), 'body ' || md5(p.prosrc),
      'security ' || case when p.prosecdef then 'definer' else 'invoker' end, array_to_string(p.proconfig, ', '),
      'execute: ' || ${grants((role) => `has_function_privilege('${role}', p.oid, 'execute')`)})
  from pg_proc p where p.pronamespace = 'public'::regnamespace and ${isOurs("p")}`;

/** Reads what the schema public holds. */
export async function readCatalog(client: pg.ClientBase): Promise<Catalog> {
  const { rows } = await client.query<{ object: string; definition: string }>(QUERY);
  return Object.fromEntries(
    rows.map(({ object, definition }) => [object, definition] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** @throws when the file is missing: it belongs to the program. */
export async function expectedCatalog(): Promise<Catalog> {
  return JSON.parse(await readFile(EXPECTED_CATALOG, "utf8")) as Catalog;
}

/**
 * Where a database differs from what is expected. Objects that we did not make are ignored, with two exceptions: more
 * signatures of our functions, because callers could reach them instead of ours, and more policies on our tables,
 * because they could open their rows.
 */
export function compareCatalogs(expected: Catalog, found: Catalog): Drift[] {
  const ownFunctions = new Set(Object.keys(expected).flatMap(functionName));
  const differences = Object.entries(expected).flatMap(([object, definition]): Drift[] => {
    const actual = found[object];
    if (actual === undefined) {
      return [{ object, kind: "missing", expected: definition, found: null }];
    }
    const stricter = object.startsWith("column ") && actual === `${definition} not null`;
    return actual === definition || stricter
      ? []
      : [{ object, kind: "different", expected: definition, found: actual }];
  });
  const unexpected = Object.entries(found).flatMap(([object, definition]): Drift[] =>
    expected[object] === undefined &&
    (functionName(object).some((name) => ownFunctions.has(name)) ||
      policyTable(object).some((name) => expected[`table ${name}`] !== undefined))
      ? [{ object, kind: "unexpected", expected: null, found: definition }]
      : [],
  );
  return [...differences, ...unexpected];
}

function policyTable(object: string): string[] {
  const match = /^policy ([^.]+)\./.exec(object);
  return match?.[1] === undefined ? [] : [match[1]];
}

function functionName(object: string): string[] {
  const match = /^function ([^(]+)\(/.exec(object);
  return match?.[1] === undefined ? [] : [match[1]];
}
