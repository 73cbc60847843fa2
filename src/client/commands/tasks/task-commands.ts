import { type Command, InvalidArgumentError, Option } from "commander";
import type { Context } from "../../context.ts";
import {
  addExamples,
  durationSec,
  jsonOption,
  type JsonOptions,
  type LocalOptions,
  localOptions,
  poolOption,
  uuid,
  wholeNumber,
} from "../../options.ts";
import type { LogsOptions } from "../../show-logs.ts";
import type { CancelOptions, RetryOptions } from "./change-task.ts";
import type { GenerateOptions } from "./generate/generate-tasks.ts";
import type { ListOptions } from "./list-tasks.ts";
import type { NewEndpoint } from "./notifications.ts";
import type { SubmitOptions } from "./submit.ts";
import type { DownloadOptions } from "./result/download-task.ts";
import { addTaskFlags, dashed, parseStatuses, TASK_STATUSES } from "./task-flags.ts";
import type { StatsOptions } from "./task-stats.ts";

const FORMATS = ["json", "slack"];
const KINDS = ["task.completed", "task.failed", "pool.alert", "task.reopened"];

export function addTaskCommands(program: Command, context: Context): void {
  addSubmit(program, context);
  addTasks(program, context);
  addTypes(program, context);
  const task = program
    .command("task")
    .description("one task: what became of it, its log and its result; cancel it, or try it again");
  addTaskShow(task, context);
  addTaskChanges(task, context);
  addTaskLogs(task, context);
  addTaskTimeline(task, context);
  addTaskDownload(task, context);
  addNotifications(program, context);
}

function addSubmit(program: Command, context: Context): void {
  const submit = program.command("submit").description("put tasks in the queue and print their ids");
  addTaskFlags(submit);
  localOptions().forEach((option) => submit.addOption(option));
  submit
    .option("--file <path>", "JSON instead of flags: an object, an array, or one a line; - is stdin")
    .addOption(
      new Option("--dry-run", "submit nothing; show what each parameter will be, and where it comes from").conflicts(
        "wait",
      ),
    )
    .option("--wait", "until all have ended; then print the results' URLs; exit code 1 if any failed")
    .addOption(new Option("--open", "wait, then open the results as a double click would").conflicts("dryRun"))
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: SubmitOptions) => {
      const { submitTasks } = await import("./submit.ts");
      await submitTasks(context, options);
    });
  addExamples(submit, [
    ['gpu-pool submit --prompt "a cat in a garden" --frames 24 --wait', "one video, until it is there"],
    ['gpu-pool submit --prompt "rain" --count 20 --priority 5', "twenty alike, before others"],
    [
      'gpu-pool submit --type t2v --prompt "fog" --frames 84 --dry-run',
      "what its parameters will be, submitting nothing",
    ],
    ["gpu-pool submit --prompts prompts.txt --frames 81 --open", "a video of each line of a file, until all are there"],
    ["gpu-pool submit --file tasks.jsonl", "one JSON object a line"],
    ['gpu-pool submit --db-type sqlite --prompt "fog" --wait', "into tasks.db in this folder, without any server"],
    [`echo '{"task_type":"generate_video","params":{"prompt":"fog"}}' | gpu-pool submit`, "from another program"],
  ]);
}

function addTasks(program: Command, context: Context): void {
  const tasks = program
    .command("tasks")
    .description("list tasks, the newest first")
    .option("--status <names>", `separated by commas, of ${TASK_STATUSES.map(dashed).join(", ")}`, parseStatuses)
    .option("--type <name>", "only of this task type")
    .option("--project <id>", "only of this project", uuid)
    .option("--since <duration>", "created within this time, such as 90s, 30m, 2h", durationSec)
    .option("--failed-first", "failed tasks before the others")
    .option("--limit <n>", "at most this many", wholeNumber(1, 100_000), 50)
    .option("--pool <name>", "only of this pool (default: of all)")
    .addOption(jsonOption())
    .action(async (options: ListOptions) => {
      const { showTasks } = await import("./list-tasks.ts");
      await showTasks(context, options);
    });
  localOptions().forEach((option) => tasks.addOption(option));
  addGenerate(tasks, context);
  addStats(tasks, context);
  addExamples(tasks, [
    ["gpu-pool tasks", "the newest fifty"],
    ["gpu-pool tasks --status failed --since 2h", "what failed lately, and why"],
    ["gpu-pool tasks --failed-first --project 3f0c6a52-7f0e-4c1c-9a3e-0d8a5b1c2d3e", "of one project"],
    ["gpu-pool tasks --json | jq -r '.[].id'", "whole ids, for programs"],
  ]);
}

function addStats(tasks: Command, context: Context): void {
  const stats = tasks
    .command("stats")
    .description("how long tasks waited and ran, by type and model, and why they failed, alike failures together")
    .action(async (_options: StatsOptions, command: Command) => {
      const { showTaskStats } = await import("./task-stats.ts");
      // --since, --type, --project, --pool, --limit and --json are those of `gpu-pool tasks`.
      await showTaskStats(context, command.optsWithGlobals<StatsOptions>());
    });
  addExamples(stats, [
    ["gpu-pool tasks stats", "of the tasks of the last day"],
    ["gpu-pool tasks stats --since 7d --type t2v", "of one type, in a week"],
    ["gpu-pool tasks stats --json | jq '.causes[0]'", "what fails most"],
  ]);
}

function addGenerate(tasks: Command, context: Context): void {
  const generate = tasks
    .command("generate")
    .description("put test tasks in the queue, with synthetic pictures, clips and prompts; print their ids")
    .argument("[types...]", "only of these types (default: all)")
    .option("--count <n>", "how many of each type", wholeNumber(1, 1_000), 1)
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (types: string[], _options: GenerateOptions, command: Command) => {
      const { generateTasks } = await import("./generate/generate-tasks.ts");
      // Commander gives flags that `gpu-pool tasks` has too to that command.
      await generateTasks(context, types, command.optsWithGlobals<GenerateOptions>());
    });
  localOptions().forEach((option) => generate.addOption(option));
  addExamples(generate, [
    ["gpu-pool tasks generate --db-type sqlite", "one small task of every type, for a worker on this machine"],
    ["gpu-pool tasks generate t2v vace --count 20", "twenty of each, in the database's queue"],
  ]);
}

function addTypes(program: Command, context: Context): void {
  const types = program
    .command("types")
    .description("the task types: their kinds, models and needs, and which programs do them")
    .argument("[name]", "show the parameters of this type")
    .addOption(jsonOption())
    .action(async (name: string | undefined, options: JsonOptions) => {
      const { showTypes } = await import("./show-types.ts");
      await showTypes(context, name, options);
    });
  addExamples(types, [
    ["gpu-pool types", "all of them"],
    ["gpu-pool types vace", "what a task of this type may say"],
  ]);
}

function addTaskShow(task: Command, context: Context): void {
  const show = task
    .command("show")
    .description("its state, its attempts and its cost")
    .argument("<id>", "whole, or its beginning")
    .addOption(jsonOption())
    .action(async (id: string, options: JsonOptions & LocalOptions) => {
      const { showTask } = await import("./show-task.ts");
      await showTask(context, id, options);
    });
  localOptions().forEach((option) => show.addOption(option));
  addExamples(show, [
    ["gpu-pool task show 0b9c4a52", "who had it, and how each attempt ended"],
    ["gpu-pool task show 0b9c4a52 --json | jq .result_data", "for programs"],
  ]);
}

function addTaskChanges(task: Command, context: Context): void {
  const cancel = task
    .command("cancel")
    .description("end it without a result; a worker that has it stops")
    .argument("<id>", "whole, or its beginning")
    .addOption(jsonOption())
    .action(async (id: string, options: CancelOptions) => {
      const { cancelTask } = await import("./change-task.ts");
      await cancelTask(context, id, options);
    });
  const retry = task
    .command("retry")
    .description("put a failed task back in the queue with all that its failing failed; no earlier attempt counts")
    .argument("<id>", "whole, or its beginning")
    .option("--reason <text>", "why, for the journal and the notification")
    .addOption(jsonOption())
    .action(async (id: string, options: RetryOptions) => {
      const { retryTask } = await import("./change-task.ts");
      await retryTask(context, id, options);
    });
  for (const option of localOptions()) {
    cancel.addOption(option);
    retry.addOption(option);
  }
  addExamples(cancel, [["gpu-pool task cancel 0b9c4a52", "tasks that wait for it fail"]]);
  addExamples(retry, [
    ["gpu-pool task retry 0b9c4a52", "tasks that waited for it come back too"],
    ["gpu-pool task retry 0b9c4a52 --reason 'the model is installed now'", "journaled as task.reopened"],
  ]);
}

function addTaskLogs(task: Command, context: Context): void {
  const logs = task
    .command("logs")
    .description("what was logged about it in the last two days, oldest first")
    .argument("<id>", "whole, or its beginning")
    .option("--limit <n>", "at most this many lines, the newest", wholeNumber(1, 100_000), 100)
    .option("-f, --follow", "keep printing what arrives until Ctrl-C")
    .addOption(new Option("--json", "print one JSON object a line instead of text"))
    .action(async (id: string, options: LogsOptions) => {
      const { findTask } = await import("../../find-by-prefix.ts");
      const { showLogs } = await import("../../show-logs.ts");
      await showLogs(context, { ...options, task: (await findTask(context, id)).id });
    });
  addExamples(logs, [["gpu-pool task logs 0b9c4a52", "by its worker and by the Temporal worker"]]);
}

function addTaskTimeline(task: Command, context: Context): void {
  const timeline = task
    .command("timeline")
    .description("what happened to it, oldest first: created, admitted, each attempt with its worker, retries, its end")
    .argument("<id>", "whole, or its beginning")
    .addOption(jsonOption())
    .action(async (id: string, options: JsonOptions & LocalOptions) => {
      const { showTaskTimeline } = await import("./task-timeline.ts");
      await showTaskTimeline(context, id, options);
    });
  localOptions().forEach((option) => timeline.addOption(option));
  addExamples(timeline, [["gpu-pool task timeline 0b9c4a52", "where did its time go?"]]);
}

function addTaskDownload(task: Command, context: Context): void {
  const download = task
    .command("download")
    .description("write the files of its result to this machine and print their paths")
    .argument("<id>", "whole, or its beginning")
    .option("-o, --output <path>", "a folder, or the file itself where the result is one (default: the current folder)")
    .option("--overwrite", "replace a file that is there already")
    .addOption(jsonOption())
    .action(async (id: string, options: DownloadOptions) => {
      const { downloadTask } = await import("./result/download-task.ts");
      await downloadTask(context, id, options);
    });
  localOptions().forEach((option) => download.addOption(option));
  addExamples(download, [
    ["gpu-pool task download 0b9c4a52", "into the current folder"],
    ["gpu-pool task download 0b9c4a52 -o cat.mp4", "under this name"],
  ]);
}

function addNotifications(program: Command, context: Context): void {
  const notifications = program
    .command("notifications")
    .description("be told by Slack or a webhook of tasks and alerts; what could not be delivered");
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
    .argument("<id>", "the endpoint; the beginning of its id is enough")
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
