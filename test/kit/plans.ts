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

/** One statement that Postgres ran, perhaps inside a function or trigger. */
export interface RunStatement {
  readonly text: string;
  readonly plan: PlanNode;
  /** All nodes of the plan, the top one first. */
  readonly nodes: readonly PlanNode[];
  /** How many pages it touched, including the statements inside it. */
  readonly pages: number;
}

export interface PlanWatch {
  /** Runs the statement. @returns also every plan that ran, in the order of their ends: the statement's own is the last. */
  run<T>(statement: string, values?: readonly unknown[]): Promise<{ rows: T[]; statements: RunStatement[] }>;
  end(): Promise<void>;
}

/** A connection on which Postgres reports the plan of every statement, so that tests see the real queries, not copies. */
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

/** How many rows the scans of a relation read, including rows that a filter removed. */
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

/** The texts of the statements that scan a whole relation. */
export function fullScans(statements: readonly RunStatement[], relation: string): string[] {
  return statements
    .filter(({ nodes }) => nodes.some((node) => node["Node Type"] === "Seq Scan" && node["Relation Name"] === relation))
    .map(({ text }) => text);
}

const PROJECTS = 50;

/**
 * Adds queued and ended tasks of fifty projects and of all these pools, with the values that the triggers would have
 * set. One in ten is urgent, one in twenty is held. A million tasks take a minute.
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
  // This transaction runs no triggers and checks no references; the insert gives the values that triggers would set.
  await session.rows("set local session_replication_role = replica");
  // With an asynchronous commit the vacuum would not see the rows as committed, and index-only scans would be impossible.
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
  // A vacuum marks no page as all-visible while an autovacuum's snapshot is open. Without these marks the planner
  // prefers to read the whole table.
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
