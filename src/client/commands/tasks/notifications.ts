import { type Command, InvalidArgumentError } from "commander";
import type { Database } from "../../../supabase/client.ts";
import { answerOf } from "../../connections.ts";
import { addExamples, type Context, jsonOption } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { plain } from "../../render/output.ts";
import { type Column, renderTable } from "../../render/table.ts";

const KINDS = ["task.completed", "task.failed", "pool.alert"];
const SHOWN = 200;

interface Json {
  readonly json?: boolean;
}

export function addNotificationsCommand(program: Command, context: Context): void {
  const notifications = program
    .command("notifications")
    .description("who is told of tasks and alerts, and what failed");
  const add = notifications
    .command("add")
    .description("tell an address; prints the key that signs what it is sent")
    .argument("<url>", "http or https", parseUrl)
    .option("--project <id>", "only of this project's tasks", parseUuid)
    .option("--pool <name>", "only of this pool")
    .option("--kinds <kinds>", `separated by commas, of ${KINDS.join(", ")}`, parseKinds, KINDS.slice(0, 2))
    .addOption(jsonOption())
    .action(async (url: string, options: Json & { project?: string; pool?: string; kinds: string[] }) => {
      const { json, kinds, project = null, pool = null } = options;
      const endpoint = { url, kinds, project_id: project, pool };
      const { client } = await context.connections.database();
      const request = client.from("notification_endpoints").insert(endpoint).select("id, secret").single();
      const { data } = await answerOf("notification_endpoints", request);
      if (json) {
        context.output.printJson(data);
      } else {
        context.output.print(`endpoint ${data?.id}\nsecret   ${data?.secret}`);
      }
    });
  addList(notifications, context);
  addDead(notifications, context);
  notifications
    .command("retry")
    .description("begin again with notifications that were given up")
    .argument("<ids...>", "as `gpu-pool notifications dead` shows them, or all")
    .action(async (ids: readonly string[]) => {
      const retried = await retry(await context.connections.database(), ids);
      context.output.print(`${retried} to be delivered again`);
    });
  notifications
    .command("remove")
    .description("tell an address no more; what waits for it is dropped")
    .argument("<id>", "the endpoint", parseUuid)
    .action(async (id: string) => {
      const { client } = await context.connections.database();
      const request = client.from("notification_endpoints").delete().eq("id", id).select("id");
      const { data } = await answerOf("notification_endpoints", request);
      if ((data ?? []).length === 0) {
        throw new ClientError(EXIT.failed, `there is no endpoint ${id}`, "gpu-pool notifications list shows them");
      }
      context.output.print(`removed ${id}`);
    });
  addExamples(add, [
    ["gpu-pool notifications add https://example.com/hook", "every completed and failed task"],
    ["gpu-pool notifications add https://example.com/ops --kinds pool.alert", "what needs a person"],
  ]);
}

function addList(notifications: Command, context: Context): void {
  notifications
    .command("list")
    .description("the addresses that are told; keys are not shown")
    .addOption(jsonOption())
    .action(async ({ json }: Json) => {
      const { client } = await context.connections.database();
      const columns = "id, project_id, pool, kinds, enabled, url, created_at";
      const request = client.from("notification_endpoints").select(columns).order("created_at").limit(SHOWN);
      const rows = (await answerOf("notification_endpoints", request)).data ?? [];
      show<(typeof rows)[number]>(context, json, rows, "nobody is told: gpu-pool notifications add <url>", [
        { title: "ENDPOINT", value: ({ id }) => id },
        { title: "KINDS", value: ({ kinds }) => kinds.join(",") },
        { title: "PROJECT", value: ({ project_id }) => project_id ?? "all", dropOrder: 1 },
        { title: "POOL", value: ({ pool }) => plain(pool ?? "all"), dropOrder: 2 },
        { title: "URL", value: ({ url, enabled }) => plain(enabled ? url : `${url} (disabled)`) },
      ]);
    });
}

function addDead(notifications: Command, context: Context): void {
  notifications
    .command("dead")
    .description("notifications that were given up, newest first")
    .addOption(jsonOption())
    .action(async ({ json }: Json) => {
      const { client } = await context.connections.database();
      const columns = "id, kind, project_id, pool, payload, attempts, created_at, dead_at, last_error, endpoint_id";
      const request = client
        .from("outbox")
        .select(columns)
        .not("dead_at", "is", null)
        .order("id", { ascending: false });
      const rows = (await answerOf("outbox", request.limit(SHOWN))).data ?? [];
      show<(typeof rows)[number]>(context, json, rows, "no notification was given up", [
        { title: "ID", value: ({ id }) => String(id), align: "right" },
        { title: "KIND", value: ({ kind }) => plain(kind) },
        { title: "GIVEN UP", value: ({ dead_at }) => String(dead_at).slice(0, 19) },
        { title: "ENDPOINT", value: ({ endpoint_id }) => endpoint_id, dropOrder: 1 },
        { title: "LAST ERROR", value: ({ last_error }) => plain(last_error ?? "") },
      ]);
    });
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
    output.print(renderTable(columns, rows, output.size().columns, output.style).join("\n"));
  }
}

async function retry({ client }: Database, ids: readonly string[]): Promise<number> {
  const isAll = ids.includes("all");
  const wrong = ids.find((id) => id !== "all" && !/^\d{1,15}$/.test(id));
  if (wrong !== undefined) {
    const advice = "Expected numbers as gpu-pool notifications dead shows them, or all.";
    throw new ClientError(EXIT.usage, `${plain(wrong)} is no notification's id`, advice);
  }
  // Long past by any clock: due at once.
  const again = { dead_at: null, attempts: 0, next_attempt_at: "2000-01-01T00:00:00Z" };
  const dead = client.from("outbox").update(again, { count: "exact" }).not("dead_at", "is", null);
  const { count } = await answerOf("outbox", isAll ? dead : dead.in("id", ids.map(Number)));
  return count ?? 0;
}

function parseUrl(text: string): string {
  if (!/^https?:\/\/[^/\s]+\S*$/.test(text) || !URL.canParse(text)) {
    throw new InvalidArgumentError("Expected an http or https address.");
  }
  return text;
}

function parseUuid(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    throw new InvalidArgumentError("Expected a UUID.");
  }
  return text;
}

function parseKinds(text: string): string[] {
  const kinds = text.split(",");
  if (kinds.some((kind) => !KINDS.includes(kind))) {
    throw new InvalidArgumentError(`Expected some of ${KINDS.join(", ")}, separated by commas.`);
  }
  return kinds;
}
