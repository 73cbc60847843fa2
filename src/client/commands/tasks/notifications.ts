import { type Command, InvalidArgumentError, Option } from "commander";
import { type Endpoint, type GivenUp, notificationStore } from "../../../supabase/notification-store.ts";
import { addExamples, type Context, jsonOption } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { plain } from "../../render/output.ts";
import { type Column, renderTable } from "../../render/table.ts";

const FORMATS = ["json", "slack"];
const KINDS = ["task.completed", "task.failed", "pool.alert", "task.reopened"];

interface Json {
  readonly json?: boolean;
}

export function addNotificationsCommand(program: Command, context: Context): void {
  const notifications = program
    .command("notifications")
    .description("which addresses hear of tasks and alerts, and what could not be delivered");
  addAdd(notifications, context);
  addList(notifications, context);
  addDead(notifications, context);
  addRetry(notifications, context);
  addRemove(notifications, context);
}

async function storeOf(context: Context) {
  return notificationStore(await context.connections.database());
}

function addAdd(notifications: Command, context: Context): void {
  const add = notifications
    .command("add")
    .description("send notifications to an address; prints the key that signs them")
    .argument("<url>", "http or https", parseUrl)
    .option("--project <id>", "only of this project's tasks", parseUuid)
    .option("--pool <name>", "only of this pool")
    .option("--kinds <kinds>", `separated by commas, of ${KINDS.join(", ")}`, parseKinds, KINDS.slice(0, 2))
    .addOption(new Option("--format <format>", 'slack: {"text": …}').choices(FORMATS).default("json"))
    .addOption(jsonOption())
    .action(
      async (url: string, options: Json & { project?: string; pool?: string; kinds: string[]; format: string }) => {
        const { json, kinds, format, project = null, pool = null } = options;
        const store = await storeOf(context);
        const endpoint = await store.addEndpoint({ url, kinds, format, project_id: project, pool });
        if (json) {
          context.output.printJson(endpoint);
        } else {
          context.output.print(`endpoint ${endpoint.id}\nsecret   ${endpoint.secret}`);
        }
      },
    );
  addExamples(add, [
    ["gpu-pool notifications add https://example.com/hook", "every completed and failed task"],
    ["gpu-pool notifications add https://example.com/ops --kinds pool.alert", "what needs a person"],
    ["gpu-pool notifications add https://hooks.slack.com/… --kinds pool.alert --format slack", "the same, in Slack"],
  ]);
}

function addList(notifications: Command, context: Context): void {
  notifications
    .command("list")
    .description("the addresses that get notifications; keys are not shown")
    .addOption(jsonOption())
    .action(async ({ json }: Json) => {
      const endpoints = await (await storeOf(context)).endpoints();
      show<Endpoint>(context, json, endpoints, "no address gets notifications: gpu-pool notifications add <url>", [
        { title: "ENDPOINT", value: ({ id }) => id },
        { title: "KINDS", value: ({ kinds }) => kinds.join(",") },
        { title: "PROJECT", value: ({ project_id: project }) => project ?? "all", dropOrder: 1 },
        { title: "POOL", value: ({ pool }) => plain(pool ?? "all"), dropOrder: 2 },
        { title: "FORMAT", value: ({ format }) => format, dropOrder: 3 },
        { title: "URL", value: ({ url, enabled }) => plain(enabled ? url : `${url} (disabled)`) },
      ]);
    });
}

function addDead(notifications: Command, context: Context): void {
  notifications
    .command("dead")
    .description("notifications that are not tried any more, newest first")
    .addOption(jsonOption())
    .action(async ({ json }: Json) => {
      const givenUp = await (await storeOf(context)).givenUp();
      show<GivenUp>(context, json, givenUp, "no notification was given up", [
        { title: "ID", value: ({ id }) => String(id), align: "right" },
        { title: "KIND", value: ({ kind }) => plain(kind) },
        { title: "GIVEN UP", value: ({ dead_at: at }) => String(at).slice(0, 19) },
        { title: "ENDPOINT", value: ({ endpoint_id: endpoint }) => endpoint, dropOrder: 1 },
        { title: "LAST ERROR", value: ({ last_error: error }) => plain(error ?? "") },
      ]);
    });
}

function addRetry(notifications: Command, context: Context): void {
  notifications
    .command("retry")
    .description("begin again with notifications that were given up")
    .argument("<ids...>", "as `gpu-pool notifications dead` shows them, or all")
    .action(async (ids: readonly string[]) => {
      const wrong = ids.find((id) => id !== "all" && !/^\d{1,15}$/.test(id));
      if (wrong !== undefined) {
        const advice = "Expected numbers as gpu-pool notifications dead shows them, or all.";
        throw new ClientError(EXIT.usage, `${plain(wrong)} is no notification's id`, advice);
      }
      const store = await storeOf(context);
      const retried = await store.retry(ids.includes("all") ? "all" : ids.map(Number));
      context.output.print(`${retried} to be delivered again`);
    });
}

function addRemove(notifications: Command, context: Context): void {
  notifications
    .command("remove")
    .description("send no more to an address; what waits for it is dropped")
    .argument("<id>", "the endpoint", parseUuid)
    .action(async (id: string) => {
      if (!(await (await storeOf(context)).removeEndpoint(id))) {
        throw new ClientError(EXIT.failed, `there is no endpoint ${id}`, "gpu-pool notifications list shows them");
      }
      context.output.print(`removed ${id}`);
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
