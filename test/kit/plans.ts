import pg from "pg";
import { expect, vi } from "vitest";
import type { Queue } from "./queue.ts";

export interface PlanNode {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Shared Hit Blocks": number;
  readonly "Shared Read Blocks": number;
  readonly Plans?: readonly PlanNode[];
}

/** One statement as it was really run, the statements inside functions and triggers too. */
export interface RunStatement {
  readonly text: string;
  readonly plan: PlanNode;
  /** All nodes of the plan, the top one first. */
  readonly nodes: readonly PlanNode[];
  /** Pages that it touched, those of the statements inside it included. */
  readonly pages: number;
}

export interface PlanWatch {
  /** Runs the statement and answers every plan that it ran, in the order in which they ended: the statement's own is the last. */
  run<T>(statement: string, values?: readonly unknown[]): Promise<{ rows: T[]; statements: RunStatement[] }>;
  end(): Promise<void>;
}

/** A connection on which Postgres itself reports the plan of everything it runs, so that no test explains a copy of a query. */
export async function watchPlans(queue: Queue): Promise<PlanWatch> {
  const client = new pg.Client({ connectionString: queue.database.databaseUrl });
  await client.connect();
  let statements: RunStatement[] = [];
  client.on("notice", ({ message }) => {
    const json = /^duration: .* plan:\n([^]*)$/.exec(message ?? "")?.[1];
    if (json !== undefined) {
      const { "Query Text": text, Plan: plan } = JSON.parse(json) as { "Query Text": string; Plan: PlanNode };
      statements.push({ text, plan, nodes: flat(plan), pages: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] });
    }
  });
  await client.query("load 'auto_explain'");
  const settings = {
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
    client_min_messages: "log",
    "auto_explain.log_min_duration": "0",
  };
  for (const [name, value] of Object.entries(settings)) {
    await client.query("select set_config($1, $2, false)", [name, value]);
  }
  return {
    async run<T>(statement: string, values: readonly unknown[] = []) {
      statements = [];
      const { rows } = await client.query(statement, [...values]);
      return { rows: rows as T[], statements };
    },
    end: () => client.end(),
  };
}

function flat(plan: PlanNode): PlanNode[] {
  return [plan, ...(plan.Plans ?? []).flatMap(flat)];
}

/** The rows that the scans of a relation looked at, thrown away ones included. */
export function rowsScanned(statements: readonly RunStatement[], relation: string): number {
  const scans = statements.flatMap(({ nodes }) => nodes.filter((node) => node["Relation Name"] === relation));
  return scans.reduce(
    (sum, node) =>
      node["Node Type"].endsWith("Scan")
        ? sum + node["Actual Loops"] * (node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0))
        : sum,
    0,
  );
}

/** Texts of the statements that read a relation from its beginning to its end. */
export function fullScans(statements: readonly RunStatement[], relation: string): string[] {
  return statements
    .filter(({ nodes }) => nodes.some((node) => node["Node Type"] === "Seq Scan" && node["Relation Name"] === relation))
    .map(({ text }) => text);
}

const PROJECTS = 50;

/**
 * Tasks of fifty projects and of all these pools, one in ten urgent, one in twenty held, and ended ones besides, as
 * the triggers would have left them; a million of them in a minute.
 * @returns the projects.
 */
export async function fillQueue(
  queue: Queue,
  pools: readonly string[],
  { queued, ended }: { readonly queued: number; readonly ended: number },
): Promise<string[]> {
  const projects: string[] = [];
  while (projects.length < PROJECTS) {
    projects.push(await queue.newProject());
  }
  const session = await queue.session();
  await session.rows("begin");
  // Neither triggers nor checks of references in this transaction: what they would write is given here.
  await session.rows("set local session_replication_role = replica");
  // Else the rows are not known as committed when the vacuum looks at them, and no scan of an index alone is possible.
  await session.rows("set local synchronous_commit = on");
  await session.rows(
    `insert into tasks (task_type, pool, project_id, status, gate, priority, vtime, params, worker_id)
     select 'generate_video', ($1::text[])[1 + n % cardinality($1::text[])], ($2::uuid[])[1 + n % ${PROJECTS}],
       case when n < $3 then 'Queued' else 'Complete' end, case when n % 20 = 7 then 'held' else 'open' end,
       case when n % 10 = 3 then 5 else 0 end, (extract(epoch from now()) * 1000000)::bigint + n / ${PROJECTS},
       jsonb_build_object('prompt', 'number ' || n), null
     from generate_series(0, $3::integer + $4::integer - 1) as n`,
    [pools, projects, queued, ended],
  );
  await session.rows("commit");
  // A vacuum marks no page while an autovacuum's snapshot lasts, and without marks the whole table is cheaper to read.
  await vi.waitFor(
    async () => {
      await session.rows("vacuum analyze tasks");
      const pages = await session.rows<{ unmarked: number }>(
        "select relpages - relallvisible as unmarked from pg_class where oid = 'tasks'::regclass",
      );
      expect(pages).toEqual([{ unmarked: 0 }]);
    },
    { timeout: 300_000, interval: 200 },
  );
  await session.end();
  return projects;
}
