import { type Command, InvalidArgumentError, Option } from "commander";
import type { Context } from "../../context.ts";
import { addExamples, jsonOption, type JsonOptions, poolOption, uuid } from "../../options.ts";
import type { NewEndpoint } from "./notifications.ts";
import type { SubmitOptions } from "./submit.ts";
import { addTaskFlags } from "./task-flags.ts";

const FORMATS = ["json", "slack"];
const KINDS = ["task.completed", "task.failed", "pool.alert", "task.reopened"];

export function addTaskCommands(program: Command, context: Context): void {
  addSubmit(program, context);
  addNotifications(program, context);
}

function addSubmit(program: Command, context: Context): void {
  const submit = program.command("submit").description("put tasks in the queue and print their ids");
  addTaskFlags(submit);
  submit
    .option("--file <path>", "JSON instead of flags: an object, an array, or one a line; - is stdin")
    .option("--wait", "until all have ended; then print the results' URLs; exit code 1 if any failed")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: SubmitOptions) => {
      const { submitTasks } = await import("./submit.ts");
      await submitTasks(context, options);
    });
  addExamples(submit, [
    ['gpu-pool submit --prompt "a cat in a garden" --frames 24 --wait', "one video, until it is there"],
    ['gpu-pool submit --prompt "rain" --count 20 --priority 5', "twenty alike, before others"],
    ["gpu-pool submit --file tasks.jsonl", "one JSON object a line"],
    [`echo '{"task_type":"generate_video","params":{"prompt":"fog"}}' | gpu-pool submit`, "from another program"],
  ]);
}

function addNotifications(program: Command, context: Context): void {
  const notifications = program
    .command("notifications")
    .description("which addresses hear of tasks and alerts, and what could not be delivered");
  addAdd(notifications, context);
  const list = notifications
    .command("list")
    .description("the addresses that get notifications; keys are not shown")
    .addOption(jsonOption())
    .action(async (options: JsonOptions) => {
      const { listEndpoints } = await import("./notifications.ts");
      await listEndpoints(context, options);
    });
  const dead = notifications
    .command("dead")
    .description("notifications that are not tried any more, newest first")
    .addOption(jsonOption())
    .action(async (options: JsonOptions) => {
      const { listGivenUp } = await import("./notifications.ts");
      await listGivenUp(context, options);
    });
  const retry = notifications
    .command("retry")
    .description("begin again with notifications that were given up")
    .argument("<ids...>", "as `gpu-pool notifications dead` shows them, or all")
    .addOption(jsonOption())
    .action(async (ids: readonly string[], options: JsonOptions) => {
      const { retryGivenUp } = await import("./notifications.ts");
      await retryGivenUp(context, ids, options);
    });
  const remove = notifications
    .command("remove")
    .description("send no more to an address; what waits for it is dropped")
    .argument("<id>", "the endpoint", uuid)
    .addOption(jsonOption())
    .action(async (id: string, options: JsonOptions) => {
      const { removeEndpoint } = await import("./notifications.ts");
      await removeEndpoint(context, id, options);
    });
  addExamples(list, [["gpu-pool notifications list", "each with its id, for remove"]]);
  addExamples(dead, [["gpu-pool notifications dead", "and why the last try failed"]]);
  addExamples(retry, [["gpu-pool notifications retry all", "once the address answers again"]]);
  addExamples(remove, [["gpu-pool notifications remove 3f0c6a52-7f0e-4c1c-9a3e-0d8a5b1c2d3e", "by its id"]]);
}

function addAdd(notifications: Command, context: Context): void {
  const add = notifications
    .command("add")
    .description("send notifications to an address; prints the key that signs them")
    .argument("<url>", "http or https", parseUrl)
    .option("--project <id>", "only of this project's tasks", uuid)
    .option("--pool <name>", "only of this pool")
    .option("--kinds <kinds>", `separated by commas, of ${KINDS.join(", ")}`, parseKinds, KINDS.slice(0, 2))
    .addOption(new Option("--format <format>", 'slack: {"text": …}').choices(FORMATS).default("json"))
    .addOption(jsonOption())
    .action(async (url: string, options: NewEndpoint) => {
      const { addEndpoint } = await import("./notifications.ts");
      await addEndpoint(context, url, options);
    });
  addExamples(add, [
    ["gpu-pool notifications add https://example.com/hook", "every completed and failed task"],
    ["gpu-pool notifications add https://example.com/ops --kinds pool.alert", "what needs a person"],
    ["gpu-pool notifications add https://hooks.slack.com/… --kinds pool.alert --format slack", "the same, in Slack"],
  ]);
}

function parseUrl(text: string): string {
  if (!/^https?:\/\/[^/\s]+\S*$/.test(text) || !URL.canParse(text)) {
    throw new InvalidArgumentError("Expected an http or https address.");
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
