import type pg from "pg";

interface Column {
  readonly relation: string;
  readonly kind: "r" | "v";
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly hasDefault: boolean;
  readonly isGenerated: boolean;
}

interface Reference {
  readonly relation: string;
  readonly name: string;
  readonly columns: string[];
  readonly target: string;
  readonly targetColumns: string[];
  readonly isOneToOne: boolean;
}

interface Signature {
  readonly name: string;
  readonly args: readonly { readonly name: string; readonly type: string; readonly optional: boolean }[];
  readonly returnsSet: boolean;
  readonly returns: string;
  /** Such as `Tables"]["tasks`. */
  readonly returnsRelation: string | null;
  readonly outputs: readonly { readonly name: string; readonly type: string }[];
}

const COLUMNS = `
  select c.relname as relation, c.relkind as kind, a.attname as name, format_type(a.atttypid, null) as type,
    a.attnotnull as required, a.atthasdef or a.attidentity <> '' as "hasDefault",
    a.attidentity = 'a' or a.attgenerated <> '' as "isGenerated"
  from pg_attribute a join pg_class c on c.oid = a.attrelid
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped
    and c.relname <> 'gpu_pool_migrations'
  order by c.relname, a.attname`;

const REFERENCES = `
  select c.relname as relation, k.conname as name, f.relname as target,
    array(select a.attname::text from unnest(k.conkey) with ordinality as u(n, i)
      join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n order by u.i) as columns,
    array(select a.attname::text from unnest(k.confkey) with ordinality as u(n, i)
      join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n order by u.i) as "targetColumns",
    exists (select from pg_index i where i.indrelid = k.conrelid and i.indisunique and i.indpred is null
      and i.indnkeyatts = cardinality(k.conkey) and i.indkey[0] = k.conkey[1]) as "isOneToOne"
  from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_class f on f.oid = k.confrelid
  where k.contype = 'f' and c.relnamespace = 'public'::regnamespace and f.relnamespace = 'public'::regnamespace
  order by c.relname, k.conname`;

// Left out: trigger functions, which cannot be called, and functions that take a row or that the service role may not call:
// these are not part of the API.
const FUNCTIONS = `
  select p.proname as name, p.proretset as "returnsSet", format_type(p.prorettype, null) as returns,
    (select case relkind when 'v' then 'Views' else 'Tables' end || '"]["' || relname from pg_class
      where oid = t.typrelid and relkind in ('r', 'v')) as "returnsRelation",
    coalesce((select jsonb_agg(jsonb_build_object('name', coalesce(p.proargnames[i], ''), 'type', format_type(p.proargtypes[i - 1], null),
        'optional', i > p.pronargs - p.pronargdefaults) order by i)
      from generate_series(1, p.pronargs) as i), '[]') as args,
    coalesce((select jsonb_agg(jsonb_build_object('name', p.proargnames[i], 'type', format_type(p.proallargtypes[i], null)) order by i)
      from generate_series(1, coalesce(cardinality(p.proallargtypes), 0)) as i where p.proargmodes[i] in ('o', 't')), '[]') as outputs
  from pg_proc p join pg_type t on t.oid = p.prorettype
  where p.pronamespace = 'public'::regnamespace and t.typname <> 'trigger' and p.prokind = 'f'
    and has_function_privilege('service_role', p.oid, 'execute')
    and not exists (select from unnest(p.proargtypes) as arg join pg_type a on a.oid = arg where a.typtype = 'c')
    and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
  order by p.proname, pg_get_function_identity_arguments(p.oid)`;

const NUMBERS = new Set(["smallint", "integer", "bigint", "real", "double precision", "numeric"]);

function typeOf(type: string): string {
  if (type.endsWith("[]")) {
    return `${typeOf(type.slice(0, -2))}[]`;
  }
  if (NUMBERS.has(type)) {
    return "number";
  }
  if (type === "boolean") {
    return "boolean";
  }
  if (type === "void") {
    return "undefined";
  }
  return type === "jsonb" || type === "json" ? "Json" : "string";
}

/** A jsonb argument accepts any value that can be written as JSON, of any TypeScript type. */
function inputOf(type: string): string {
  return typeOf(type).replace("Json", "JsonInput");
}

/** The text of `src/supabase/generated-types.ts`: the schema `public` in the shape that supabase-js needs. */
export async function typesOf(client: pg.ClientBase): Promise<string> {
  const columns = (await client.query<Column>(COLUMNS)).rows;
  const references = (await client.query<Reference>(REFERENCES)).rows;
  const functions = (await client.query<Signature>(FUNCTIONS)).rows;
  const relations = (kind: Column["kind"]) =>
    [...new Set(columns.filter((column) => column.kind === kind).map(({ relation }) => relation))].map((name) =>
      relationType(
        name,
        kind,
        columns.filter((column) => column.relation === name),
        references.filter((reference) => reference.relation === name),
      ),
    );
  return `// Written from sql/ by scripts/generate-types.ts; do not edit.
/* oxlint-disable max-lines */

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type JsonInput = string | number | boolean | null | object;

export interface Schema {
  public: {
    Tables: {
${relations("r").join("\n")}
    };
    Views: {
${relations("v").join("\n") || "      [none in never]: never;"}
    };
    Functions: {
${functionTypes(functions).join("\n")}
    };
    Enums: { [none in never]: never };
    CompositeTypes: { [none in never]: never };
  };
}
`;
}

function relationType(
  name: string,
  kind: Column["kind"],
  columns: readonly Column[],
  references: readonly Reference[],
): string {
  const orNull = ({ required }: Column) => (required ? "" : " | null");
  const row = columns.map((column) => `          ${column.name}: ${typeOf(column.type)}${orNull(column)};`);
  const field = (column: Column, optional: boolean) =>
    `          ${column.name}${optional ? "?" : ""}: ${inputOf(column.type)}${orNull(column)}${optional ? " | undefined" : ""};`;
  const relationships = references.map(
    (reference) => `          {
            foreignKeyName: ${JSON.stringify(reference.name)};
            columns: ${JSON.stringify(reference.columns).replaceAll(",", ", ")};
            isOneToOne: ${reference.isOneToOne};
            referencedRelation: ${JSON.stringify(reference.target)};
            referencedColumns: ${JSON.stringify(reference.targetColumns).replaceAll(",", ", ")};
          },`,
  );
  const written = columns.filter(({ isGenerated }) => !isGenerated);
  const parts = [`        Row: {\n${row.join("\n")}\n        };`];
  if (kind === "r") {
    parts.push(
      `        Insert: {\n${written.map((c) => field(c, !c.required || c.hasDefault)).join("\n")}\n        };`,
      `        Update: {\n${written.map((c) => field(c, true)).join("\n")}\n        };`,
    );
  }
  parts.push(
    relationships.length === 0
      ? "        Relationships: [];"
      : `        Relationships: [\n${relationships.join("\n")}\n        ];`,
  );
  return `      ${name}: {\n${parts.join("\n")}\n      };`;
}

// The formatter leaves this layout unchanged.
function functionTypes(functions: readonly Signature[]): string[] {
  const names = [...new Set(functions.map(({ name }) => name))];
  return names.map((name) => {
    const overloads = functions.filter((signature) => signature.name === name);
    return overloads.length === 1
      ? `      ${name}: ${overloads.map((overload) => signatureType(overload, "      ")).join("")};`
      : `      ${name}:\n${overloads.map((overload) => `        | ${signatureType(overload, "          ")}`).join("\n")};`;
  });
}

function signatureType({ args, returnsSet, returns, returnsRelation, outputs }: Signature, indent: string): string {
  const object = (fields: readonly string[]) =>
    `{\n${fields.map((field) => `${indent}    ${field};\n`).join("")}${indent}  }`;
  // PostgREST accepts null for any argument; the function itself may refuse it.
  const given = args.map((arg) => `${arg.name}${arg.optional ? "?" : ""}: ${inputOf(arg.type)} | null`);
  const found = outputs.map((output) => `${output.name}: ${typeOf(output.type)}`);
  const row =
    returnsRelation === null
      ? outputs.length === 0
        ? typeOf(returns)
        : object(found)
      : `Schema["public"]["${returnsRelation}"]["Row"]`;
  // A parameter without a name is the body of the request.
  const isBody = args.length === 1 && args[0]?.name === "";
  const argsType = isBody
    ? "Record<string, JsonInput>"
    : given.length === 0
      ? "Record<PropertyKey, never>"
      : object(given);
  return `{\n${indent}  Args: ${argsType};\n${indent}  Returns: ${returnsSet ? `${row}[]` : row};\n${indent}}`;
}
