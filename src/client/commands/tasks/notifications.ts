import { type Endpoint, type GivenUp, notificationStore } from "../../../supabase/notification-store.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { theOne } from "../../find-by-prefix.ts";
import { missingPool } from "../../missing-pool.ts";
import type { JsonOptions } from "../../options.ts";
import { plain } from "../../render/output.ts";
import { type Column, renderTable } from "../../render/table.ts";

export interface NewEndpoint extends JsonOptions {
  readonly project?: string;
  readonly pool?: string;
  readonly kinds: string[];
  readonly format: string;
}

export async function addEndpoint(context: Context, url: string, options: NewEndpoint): Promise<void> {
  const { json, kinds, format, project = null, pool = null } = options;
  const store = await storeOf(context);
  if (pool !== null && !(await poolStore(await context.connections.database()).names()).includes(pool)) {
    throw await missingPool(context, pool, `there is no pool ${plain(pool)}`);
  }
  const endpoint = await store.addEndpoint({ url, kinds, format, project_id: project, pool });
  if (json) {
    context.output.printJson(endpoint);
  } else {
    context.output.print([`endpoint ${endpoint.id}`, `secret   ${endpoint.secret}`]);
  }
}

export async function listEndpoints(context: Context, { json }: JsonOptions): Promise<void> {
  const endpoints = await (await storeOf(context)).endpoints();
  show<Endpoint>(context, json, endpoints, "no address gets notifications: gpu-pool notifications add <url>", [
    { title: "ENDPOINT", value: ({ id }) => id },
    { title: "KINDS", value: ({ kinds }) => kinds.join(",") },
    { title: "PROJECT", value: ({ project_id: project }) => project ?? "all", dropOrder: 1 },
    { title: "POOL", value: ({ pool }) => plain(pool ?? "all"), dropOrder: 2 },
    { title: "FORMAT", value: ({ format }) => format, dropOrder: 3 },
    { title: "URL", value: ({ url, enabled }) => plain(enabled ? url : `${url} (disabled)`) },
  ]);
}

export async function listGivenUp(context: Context, { json }: JsonOptions): Promise<void> {
  const givenUp = await (await storeOf(context)).givenUp();
  show<GivenUp>(context, json, givenUp, "no notification was given up", [
    { title: "ID", value: ({ id }) => String(id), align: "right" },
    { title: "KIND", value: ({ kind }) => plain(kind) },
    { title: "GIVEN UP", value: ({ dead_at: at }) => String(at).slice(0, 19) },
    { title: "ENDPOINT", value: ({ endpoint_id: endpoint }) => endpoint, dropOrder: 1 },
    { title: "LAST ERROR", value: ({ last_error: error }) => plain(error ?? "") },
  ]);
}

/** @param ids numbers, or `all`. @throws ClientError for others */
export async function retryGivenUp(context: Context, ids: readonly string[], { json }: JsonOptions): Promise<void> {
  const wrong = ids.find((id) => id !== "all" && !/^\d{1,15}$/.test(id));
  if (wrong !== undefined) {
    const advice = "Expected numbers as gpu-pool notifications dead shows them, or all.";
    throw new ClientError(EXIT.usage, `${plain(wrong)} is no notification's id`, advice);
  }
  const store = await storeOf(context);
  const retried = await store.retry(ids.includes("all") ? "all" : ids.map(Number));
  if (json) {
    context.output.printJson({ retried });
  } else {
    context.output.print(`${retried} to be delivered again`);
  }
}

/** @param given its id, or the beginning of it. @throws ClientError when there is no such endpoint, or more than one */
export async function removeEndpoint(context: Context, given: string, { json }: JsonOptions): Promise<void> {
  const store = await storeOf(context);
  const advice = "gpu-pool notifications list shows them";
  const found = (await store.endpoints()).filter(({ id: each }) => each.startsWith(given.toLowerCase()));
  const { id } = theOne("endpoint", given, advice, found, ({ url }) => url);
  if (!(await store.removeEndpoint(id))) {
    throw new ClientError(EXIT.notFound, `there is no endpoint ${id}`, advice);
  }
  if (json) {
    context.output.printJson({ removed: id });
  } else {
    context.output.print(`removed ${id}`);
  }
}

async function storeOf(context: Context) {
  return notificationStore(await context.connections.database());
}

function show<Row>(
  { output }: Context,
  json: boolean | undefined,
  rows: readonly Row[],
  none: string,
  columns: readonly Column<Row>[],
): void {
  if (json) {
    output.printJson(rows);
  } else if (rows.length === 0) {
    output.note(none);
  } else {
    output.print(renderTable(columns, rows, output.size().columns, output.style));
  }
}
