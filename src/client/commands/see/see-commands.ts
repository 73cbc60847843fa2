import { type Command, InvalidArgumentError, Option } from "commander";
import { LOG_LEVELS, LOG_SOURCES, type LogLevel } from "../../../contract/log-levels.ts";
import type { CostsBy } from "../../../supabase/reports/cost-report.ts";
import type { Context } from "../../context.ts";
import { addExamples, durationSec, jsonOption, poolOption, type PoolOptions, wholeNumber } from "../../options.ts";
import type { LogsOptions } from "../../show-logs.ts";
import type { CostsOptions } from "./costs.ts";
import type { DashboardOptions } from "./dashboard/dashboard.ts";
import type { EventsOptions } from "./events.ts";

const MAX_DECISIONS = 1_000;
const MAX_LINES = 100_000;
/** The length of the past that `costs` reads. */
const MOST_DAYS = 400;
const COSTS_BY: readonly CostsBy[] = ["day", "pool", "worker", "gpu", "project", "type", "task"];

export function addSeeCommands(program: Command, context: Context): void {
  addStatus(program, context);
  addDashboard(program, context);
  addAlerts(program, context);
  addCosts(program, context);
  addEvents(program, context);
  addLogs(program, context);
  addExplain(program, context);
  addDecide(program, context);
}

function addStatus(program: Command, context: Context): void {
  const status = program
    .command("status")
    .description("queue, workers, cost and the last decision on one screen")
    .option("--watch", "redraw every two seconds until Ctrl-C")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PoolOptions & { watch?: boolean }) => {
      const { showStatus } = await import("./status.ts");
      await showStatus(context, options);
    });
  addExamples(status, [
    ["gpu-pool status", "how the pool is now"],
    ["gpu-pool status --watch", "keep looking"],
    ["gpu-pool status --json | jq .queue", "for programs"],
  ]);
}

function addDashboard(program: Command, context: Context): void {
  const dashboard = program
    .command("dashboard")
    .description(
      "queue, fleet, throughput, spend, alerts and decisions of a pool, live; with keys to filter and to act",
    )
    .option("--once", "print it as plain text and end, as without a terminal")
    .option("--export", "print it as JSON and end; docs/dashboard.schema.json describes it")
    .option("--filter <text>", "only workers whose id, phase, GPU or task type contains this")
    .addOption(poolOption())
    .addOption(new Option("--json", "the same as --export"))
    .action(async (options: DashboardOptions) => {
      const { showDashboard } = await import("./dashboard/dashboard.ts");
      await showDashboard(context, options);
    });
  addExamples(dashboard, [
    ["gpu-pool dashboard", "keep looking; q ends it"],
    ["gpu-pool dashboard --once", "the same as plain text, for a mail or a log"],
    ["gpu-pool dashboard --export | jq .minutes", "the last hour, for programs"],
    ["gpu-pool dashboard --filter spawning", "only workers that boot"],
  ]);
}

function addAlerts(program: Command, context: Context): void {
  const alerts = program
    .command("alerts")
    .description("what needs a person: the alerts of a pool and of the whole account, newest first")
    .option("--all", "also those that are over")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PoolOptions & { all?: boolean }) => {
      const { showAlerts } = await import("./alerts.ts");
      await showAlerts(context, options);
    });
  addExamples(alerts, [
    ["gpu-pool alerts", "what is open now"],
    ["gpu-pool alerts --all", "also what is over"],
  ]);
}

function addCosts(program: Command, context: Context): void {
  const costs = program
    .command("costs")
    .description(
      "what pods have cost, in USD: today, on a day or since a time; what was idle, per task and per minute of video",
    )
    .addOption(new Option("--by <what>", "what to share it out by").choices(COSTS_BY).default("pool"))
    .addOption(new Option("--day <date>", "today, yesterday, or a date (UTC) such as 2026-11-30").argParser(parseDay))
    .addOption(
      new Option("--since <duration>", "the time until now, such as 12h, 7d").argParser(costsSec).conflicts("day"),
    )
    .option("--pool <name>", "only of this pool (default: of all)")
    .option("--limit <n>", "at most this many lines, the dearest, or the newest days", wholeNumber(1, 1_000), 50)
    .addOption(jsonOption())
    .action(async (options: CostsOptions) => {
      const { showCosts } = await import("./costs.ts");
      await showCosts(context, options);
    });
  addExamples(costs, [
    ["gpu-pool costs", "today, by pool"],
    ["gpu-pool costs --day yesterday", "what did yesterday cost?"],
    ["gpu-pool costs --by day --since 30d", "day by day"],
    ["gpu-pool costs --by task", "which tasks were dear; idle time is shared out too"],
    ["gpu-pool costs --by gpu --since 7d --json | jq .usdPerVideoMinute", "for programs"],
  ]);
}

function parseDay(text: string): string {
  const isDate = /^\d{4}-\d\d-\d\d$/.test(text) && new Date(`${text}T00:00:00Z`).toJSON()?.startsWith(text) === true;
  if (!isDate && text !== "today" && text !== "yesterday") {
    throw new InvalidArgumentError("Expected today, yesterday, or a date such as 2026-11-30.");
  }
  return text;
}

function costsSec(text: string): number {
  const sec = durationSec(text);
  if (sec > MOST_DAYS * 86_400) {
    throw new InvalidArgumentError(`Expected at most ${MOST_DAYS}d.`);
  }
  return sec;
}

function addEvents(program: Command, context: Context): void {
  const events = program
    .command("events")
    .description("the journal of a pool, oldest first: decisions, what became of them, pods, workers, tasks, messages")
    .option("--kind <kind>", "of this kind, such as worker.gone, or of all kinds that begin with this word", parseKind)
    .option("--worker <id>", "about this worker; the beginning of its id is enough")
    .option("--task <id>", "about this task; the beginning of its id is enough")
    .option("--since <duration>", "not older than this, such as 90s, 30m, 2h", durationSec)
    .option("--limit <n>", "at most this many events, the newest", wholeNumber(1, MAX_LINES), 100)
    .option("-f, --follow", "keep printing what happens until Ctrl-C")
    .addOption(poolOption())
    .addOption(new Option("--json", "print one JSON object a line instead of text"))
    .action(async (options: EventsOptions) => {
      const { showEvents } = await import("./events.ts");
      await showEvents(context, options);
    });
  addExamples(events, [
    ["gpu-pool events --follow", "the last hundred events and all that come"],
    ["gpu-pool events --kind pod --since 2h", "pods that were asked for, made, refused or adopted in two hours"],
    ["gpu-pool events --worker main-afc3e264", "what happened to one worker"],
    ["gpu-pool events --json --kind decision | jq .details", "one JSON object a line, for programs"],
  ]);
}

function parseKind(text: string): string {
  if (!/^[a-z_]+(\.[a-z_]+)?$/.test(text)) {
    throw new InvalidArgumentError(
      "Expected a kind, such as decision, or worker.gone, or worker for all about workers.",
    );
  }
  return text;
}

function addLogs(program: Command, context: Context): void {
  const logs = program
    .command("logs")
    .description("what workers and the Temporal worker logged in the last two days, oldest first")
    .option("--worker <id>", "of or about this worker; the beginning of its id is enough")
    .option("--task <id>", "about this task; the beginning of its id is enough")
    .option("--level <level>", "this severe or more: debug, info, warning, error, critical", parseLevel)
    .addOption(
      new Option(
        "--worker-timeline <id>",
        "instead of lines: what happened to this worker, as worker timeline shows it",
      ).conflicts(["worker", "task", "level", "source", "since", "follow"]),
    )
    .addOption(new Option("--source <source>", "which processes logged").choices(LOG_SOURCES))
    .option("--since <duration>", "not older than this, such as 90s, 30m, 2h", durationSec)
    .option("--limit <n>", "at most this many lines, the newest", wholeNumber(1, MAX_LINES), 100)
    .option("-f, --follow", "keep printing what arrives until Ctrl-C")
    .addOption(new Option("--json", "print one JSON object a line instead of text"))
    .action(async ({ workerTimeline, ...options }: LogsOptions & { workerTimeline?: string }) => {
      if (workerTimeline !== undefined) {
        const { showWorkerTimeline } = await import("../../worker-timeline.ts");
        await showWorkerTimeline(context, workerTimeline, options);
        return;
      }
      const { findLogs } = await import("./find-logs.ts");
      await findLogs(context, options);
    });
  addExamples(logs, [
    ["gpu-pool logs --follow", "the last hundred lines and all that come"],
    ["gpu-pool logs --level error --since 2h", "what went wrong in two hours"],
    ["gpu-pool logs --worker main-afc3e264", "what one worker logged, and the pool about it"],
    ["gpu-pool logs --worker-timeline main-afc3e264", "its boot, tasks, silences and end"],
    ["gpu-pool logs --json --limit 1000 | jq .message", "one JSON object a line, for programs"],
  ]);
}

function parseLevel(text: string): LogLevel {
  const aliases: Readonly<Record<string, LogLevel>> = { TRACE: "DEBUG", WARN: "WARNING", FATAL: "CRITICAL" };
  const name = text.toUpperCase();
  const level = LOG_LEVELS.find((known) => known === (aliases[name] ?? name));
  if (level === undefined) {
    throw new InvalidArgumentError(`Expected one of ${LOG_LEVELS.join(", ").toLowerCase()}.`);
  }
  return level;
}

function addExplain(program: Command, context: Context): void {
  const explain = program
    .command("explain")
    .description("why the pool is as large as it is: its state in one sentence, boots that failed, its last decisions")
    .option(
      "-n, --decisions <count>",
      "how many decisions; beyond 20 from the journal",
      wholeNumber(1, MAX_DECISIONS),
      10,
    )
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (options: PoolOptions & { decisions: number }) => {
      const { explainPool } = await import("./explain.ts");
      await explainPool(context, options);
    });
  addExamples(explain, [
    ["gpu-pool explain", "the last ten decisions, the newest first"],
    ["gpu-pool explain -n 1", "now, and the last time that it did something"],
    ["gpu-pool explain --json | jq -r .now.reason", "only the sentence"],
  ]);
}

function addDecide(program: Command, context: Context): void {
  const decide = program
    .command("decide")
    .description("what the pool would do now, and why; changes nothing and needs no Temporal")
    .argument("[key=value...]", "settings to try, as config set takes them; null tries it without one")
    .addOption(poolOption())
    .addOption(jsonOption())
    .action(async (pairs: readonly string[], options: PoolOptions) => {
      const [{ showDryRun }, { parsePairs }] = await Promise.all([
        import("./decide.ts"),
        import("../../setting-pairs.ts"),
      ]);
      await showDryRun(context, options, parsePairs(pairs));
    });
  addExamples(decide, [
    ["gpu-pool decide", "inputs, rule, sentence and actions"],
    ["gpu-pool decide policy=latency waitValue=2", "as it would be with other settings"],
    ["gpu-pool decide --pool nightly", "another pool, by the settings that rule it"],
    ["gpu-pool decide --json | jq .actions", "for programs"],
  ]);
}
