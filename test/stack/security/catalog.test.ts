import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate } from "../../../src/supabase/migrate.ts";
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from "../../kit/database.ts";

/** Functions that a GPU worker calls with the public key; each of them checks the worker's own token. */
const WORKER_FUNCTIONS = [
  "authorize_upload(uuid,uuid)",
  "claim_task(text)",
  "delegate_task(uuid,uuid,uuid,jsonb)",
  "fail_task(uuid,uuid,text,boolean)",
  "finish_and_claim(uuid,uuid,text,text,jsonb)",
  "finish_task(uuid,uuid,text,text,jsonb)",
  "func_claim_available_task(text)",
  "func_claim_available_task(text,text)",
  "func_mark_task_complete(uuid,jsonb,uuid,uuid,jsonb)",
  "func_mark_task_failed(uuid,text,uuid,uuid,text)",
  "func_update_worker_heartbeat(text,integer,integer)",
  "func_worker_heartbeat_with_logs(json)",
  "keep_request(uuid,uuid,text,text,text)",
  "kept_request(uuid,uuid,text)",
  "pod_job_report(text,jsonb,text)",
  "release_task(uuid,uuid,text)",
  "report_progress(uuid,uuid,real,text)",
  "worker_can_do(text,text[])",
  "worker_heartbeat(text,integer,integer)",
  "worker_logs(text,jsonb)",
  "worker_report_boot(text,text,text)",
];

/** Functions for users and old workers with any credential; each of them checks its caller. */
const API_FUNCTIONS = [
  "api_authorize_upload(uuid,uuid)",
  "api_caller()",
  "api_cancel_task(uuid)",
  "api_claim_task(text,text[])",
  "api_completed_segments(text,uuid)",
  "api_create_task(jsonb)",
  "api_create_token(text,uuid)",
  "api_delegate_task(uuid,jsonb,uuid,uuid)",
  "api_finish_task(uuid,text,text,jsonb,uuid)",
  "api_get_task(uuid)",
  "api_list_tasks(jsonb)",
  "api_predecessor_output(uuid)",
  "api_read_tasks(uuid,uuid,text)",
  "api_revoke_token(uuid)",
  "api_service_request(uuid,uuid,text,boolean,text,text)",
  "api_task_output(uuid)",
  "api_update_task(uuid,text,text,boolean,uuid)",
  "task_counts(text,text)",
];

/** Functions that migrations call to grant; no role may call them. */
const GRANTING_FUNCTIONS = [
  "grant_to_everyone(regprocedure)",
  "grant_to_service(regprocedure)",
  "secure_table(regclass)",
  "secure_view(regclass)",
];

/** The columns that a signed-in user may read, of the rows that the policies show: all columns of the first two tables. */
const READABLE_COLUMNS = {
  projects: "*",
  tasks: "*",
  user_api_tokens: "created_at,id,label,last_used_at,revoked_at,user_id",
};

const OUR_FUNCTIONS = `
  from pg_proc p
  where p.pronamespace = 'public'::regnamespace
    and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')`;
const OUR_RELATIONS = "from pg_class c where c.relnamespace = 'public'::regnamespace";
const SIGNATURE = "select p.oid::regprocedure::text as name";

/** Makes every new object open to all roles, as a hosted project with automatic grants and Postgres by default do. */
const AUTOMATIC_GRANTS = `
  alter default privileges grant execute on functions to public;
  alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
  alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
  alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;`;

async function databaseWithAutomaticGrants(): Promise<TestDatabase> {
  const database = await createEmptyDatabase();
  await database.sql.query(AUTOMATIC_GRANTS);
  await migrate(database.databaseUrl);
  return database;
}

const FORGOTTEN = `
  create table forgotten_table (id bigint generated always as identity, note text);
  create view forgotten_view as select 1 as one;
  create sequence forgotten_sequence;
  create function forgotten_function() returns int language sql security definer as 'select 1';`;

const RELATION_RIGHTS = ["select", "insert", "update", "delete", "truncate", "references", "trigger", "maintain"];

/** A role's rights on the objects that no migration granted, in words. */
function rightsOnForgotten(role: string): string {
  return `
  select c.relname || ' ' || r.name as name
  from pg_class c, unnest(array['${RELATION_RIGHTS.join("', '")}']) as r (name)
  where c.relname in ('forgotten_table', 'forgotten_view') and has_table_privilege('${role}', c.oid, r.name)
  union all
  select c.relname || ' usage' from pg_class c
  where c.relname like 'forgotten%' and case when c.relkind = 'S'
    then has_sequence_privilege('${role}', c.oid, 'usage, select, update') else false end
  union all
  select 'forgotten_function execute' where has_function_privilege('${role}', 'forgotten_function()', 'execute')`;
}

const ALL_RIGHTS_ON_FORGOTTEN = [
  ...["forgotten_table", "forgotten_view"].flatMap((relation) =>
    RELATION_RIGHTS.map((right) => `${relation} ${right}`),
  ),
  "forgotten_function execute",
  "forgotten_sequence usage",
  "forgotten_table_id_seq usage",
].toSorted();

describe.each([
  { where: "of our own stack", open: createTestDatabase },
  { where: "of a project with automatic grants", open: databaseWithAutomaticGrants },
])("the rights in the schema public $where", ({ open }) => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await open();
  });
  afterAll(() => database?.drop());

  const names = async (statement: string) =>
    (await database.sql.query<{ name: string }>(statement)).rows.map(({ name }) => name).toSorted();

  it.each(["anon", "authenticated"])(
    "let %s execute the functions for workers and users, and no other",
    async (role) => {
      const allowed = await names(
        `${SIGNATURE} ${OUR_FUNCTIONS} and has_function_privilege('${role}', p.oid, 'execute')`,
      );
      expect(allowed).toEqual([...API_FUNCTIONS, ...WORKER_FUNCTIONS].toSorted());
    },
  );

  it("are set for each function: none has the default, which lets every role execute it", async () => {
    const undecided = await names(`${SIGNATURE} ${OUR_FUNCTIONS} and (p.proacl is null
      or exists (select from aclexplode(p.proacl) as acl where acl.grantee = 0))`);
    expect(undecided).toEqual([]);
    const all = await names(`${SIGNATURE} ${OUR_FUNCTIONS}`);
    expect(all).toEqual(expect.arrayContaining(WORKER_FUNCTIONS));
    expect(all.length).toBeGreaterThan(30);
  });

  it("let the service role execute every function but those that grant", async () => {
    const refused = `${SIGNATURE} ${OUR_FUNCTIONS} and not has_function_privilege('service_role', p.oid, 'execute')`;
    expect(await names(refused)).toEqual(GRANTING_FUNCTIONS);
  });

  it("pin the search path of every function, with the temporary schema last", async () => {
    const loose = await names(`${SIGNATURE} ${OUR_FUNCTIONS}
      and not coalesce('search_path=public, pg_temp' = any (p.proconfig), false)`);
    expect(loose).toEqual([]);
    const definers = await names(`${SIGNATURE} ${OUR_FUNCTIONS} and p.prosecdef`);
    expect(definers).toEqual(expect.arrayContaining(WORKER_FUNCTIONS));
    expect(definers.filter((name) => GRANTING_FUNCTIONS.includes(name))).toEqual([]);
  });

  it("put row-level security on every table, and let views read with the caller's rights", async () => {
    const unprotected = await names(
      `select relname as name ${OUR_RELATIONS} and relkind in ('r', 'p', 'f') and not relrowsecurity`,
    );
    expect(unprotected).toEqual([]);
    const views = await names(`select relname as name ${OUR_RELATIONS} and relkind in ('v', 'm')
      and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on'], false)`);
    expect(views).toEqual([]);
  });

  it.each([
    ["anon", {}],
    ["authenticated", READABLE_COLUMNS],
  ])("give %s nothing on any table, view or sequence but to read %j", async (role, readable) => {
    const relations = `select relname as name ${OUR_RELATIONS} and relkind in ('r', 'p', 'v', 'm', 'f')`;
    const written = await names(`${relations}
      and (has_table_privilege('${role}', c.oid, 'insert, update, delete, truncate, references, trigger, maintain')
        or has_any_column_privilege('${role}', c.oid, 'insert, update, references'))`);
    expect(written).toEqual([]);
    const columns = await database.sql.query<{ name: string; columns: string }>(`
      select c.relname as name, case when has_table_privilege('${role}', c.oid, 'select') then '*'
        else string_agg(a.attname::text, ',' order by a.attname) end as columns
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
        and has_column_privilege('${role}', c.oid, a.attnum, 'select')
      group by c.oid, c.relname`);
    expect(Object.fromEntries(columns.rows.map((row) => [row.name, row.columns]))).toEqual(readable);
    const sequences = await names(`select relname as name ${OUR_RELATIONS} and case when relkind = 'S'
      then has_sequence_privilege('${role}', c.oid, 'usage, select, update') else false end`);
    expect(sequences).toEqual([]);
  });

  it("let the service role read and write the tables of pools, workers and tasks, and do nothing else with them", async () => {
    const tables = `select relname as name ${OUR_RELATIONS} and relkind = 'r' and relname <> 'gpu_pool_migrations'`;
    const refused = await names(`${tables} and relname <> 'ended_attempts'
      and not (has_table_privilege('service_role', c.oid, 'select') and has_table_privilege('service_role', c.oid, 'insert')
        and has_table_privilege('service_role', c.oid, 'update') and has_table_privilege('service_role', c.oid, 'delete'))`);
    expect(refused).toEqual([]);
    // An attempt ends only by what ends it, so nobody can write one beforehand.
    expect(
      await names(`${tables} and relname = 'ended_attempts' and has_table_privilege('service_role', c.oid, 'select')
        and not has_any_column_privilege('service_role', c.oid, 'insert, update')`),
    ).toEqual(["ended_attempts"]);
    const more = await names(
      `${tables} and has_table_privilege('service_role', c.oid, 'truncate, references, trigger, maintain')`,
    );
    expect(more).toEqual([]);
    const record = `select relname as name ${OUR_RELATIONS} and relname = 'gpu_pool_migrations'`;
    expect(
      await names(`${record} and has_table_privilege('service_role', c.oid, 'select, insert, update, delete')`),
    ).toEqual([]);
  });

  it("let the service role select from every view, and do nothing else with it", async () => {
    const views = `select relname as name ${OUR_RELATIONS} and relkind in ('v', 'm')`;
    expect((await names(views)).length).toBeGreaterThan(8);
    expect(await names(`${views} and not has_table_privilege('service_role', c.oid, 'select')`)).toEqual([]);
    const more = await names(`${views}
      and (has_table_privilege('service_role', c.oid, 'insert, update, delete, truncate, references, trigger, maintain')
        or has_any_column_privilege('service_role', c.oid, 'insert, update, references'))`);
    expect(more).toEqual([]);
  });

  it("are closed on a new object without grants in our own stack, and open in a project with automatic grants", async () => {
    await database.sql.query(FORGOTTEN);
    const expected = open === databaseWithAutomaticGrants ? ALL_RIGHTS_ON_FORGOTTEN : [];
    for (const role of ["anon", "authenticated"]) {
      expect(await names(rightsOnForgotten(role))).toEqual(expected);
    }
    await database.sql.query(
      `select grant_to_service('forgotten_function()'), secure_table('forgotten_table'), secure_view('forgotten_view');
       revoke all on sequence forgotten_sequence from anon, authenticated`,
    );
    for (const role of ["anon", "authenticated"]) {
      expect(await names(rightsOnForgotten(role))).toEqual([]);
    }
  });
});

describe("a function of an older orchestrator that has the name of one of ours", () => {
  const OLDER = ["claim_task(uuid)", "journal(text)", "worker_heartbeat(text)"];
  const ROLES = ["anon", "authenticated", "public"];
  let database: TestDatabase;
  const notices: string[] = [];
  beforeAll(async () => {
    database = await createEmptyDatabase();
    await database.sql.query(AUTOMATIC_GRANTS);
    for (const signature of [...OLDER, "their_own(text)"]) {
      await database.sql.query(`create function ${signature} returns int language sql as 'select 1';
        grant execute on function ${signature} to public, anon, authenticated, service_role`);
    }
    await migrate(database.databaseUrl, (notice) => notices.push(notice));
  });
  afterAll(() => database?.drop());

  const allowed = async (signature: string, roles: readonly string[]) => {
    const { rows } = await database.sql.query<{ role: string }>(
      `select role from unnest($2::text[]) as r (role) where has_function_privilege(role, $1, 'execute')`,
      [signature, roles],
    );
    return rows.map(({ role }) => role);
  };

  it.each(OLDER)("is closed to all but the service role, and a notice names it: %s", async (signature) => {
    expect(await allowed(signature, ROLES)).toEqual([]);
    expect(await allowed(signature, ["service_role"])).toEqual(["service_role"]);
    expect(notices.filter((notice) => notice.includes(signature))).toEqual([
      `function ${signature} was closed to public, anon and authenticated: it has the name of one of ours`,
    ]);
  });

  it("leaves our own signatures and the functions of other names as they are", async () => {
    for (const signature of ["claim_task(text)", "func_claim_available_task(text)", "their_own(text)"]) {
      expect(await allowed(signature, ["anon", "authenticated"])).toEqual(["anon", "authenticated"]);
    }
    expect(notices.filter((notice) => notice.startsWith("function"))).toHaveLength(OLDER.length);
  });
});
