import type { Context } from "../../context.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { formatDuration } from "../../render/durations.ts";
import { plain, type Style } from "../../render/output.ts";
import { labelled } from "../../render/rows.ts";
import { isoTime } from "../../render/stored.ts";
import { renderTable } from "../../render/table.ts";
import { type ExplainedSetting, type ExplainedSettings, namedSettings, readSettings } from "./config-read.ts";

/** @param names of settings or of environment variables; none: all. @throws ClientError, ConfigError, DatabaseError */
export async function explainSettings(context: Context, options: PoolOptions, names: readonly string[]): Promise<void> {
  const { output } = context;
  const facts = namedSettings(names);
  const explained = await readSettings(context, poolName(context, options), facts);
  const { columns } = output.size();
  if (options.json) {
    output.printJson(explainedJson(explained));
  } else if (names.length === 0) {
    output.print(renderAll(explained, Date.now(), columns, output.style));
  } else {
    output.print(explained.settings.flatMap((each) => renderOne(each, explained, Date.now(), columns, output.style)));
  }
}

/** Prints values in the form that `config set` takes: one alone, or several as key=value. */
export async function getSettings(context: Context, options: PoolOptions, names: readonly string[]): Promise<void> {
  const facts = namedSettings(names);
  const { pool, settings } = await readSettings(context, poolName(context, options), facts);
  if (options.json) {
    context.output.printJson({ pool, settings: Object.fromEntries(settings.map(({ name, value }) => [name, value])) });
  } else {
    const single = settings.length === 1;
    context.output.print(settings.map(({ name, value }) => `${single ? "" : `${name}=`}${settableText(value)}`));
  }
}

/** A value as `config set` reads it. */
export function settableText(value: unknown): string {
  const isText = typeof value === "string" && !/^(-?\d|true$|false$|null$|[[{"]|$)/.test(value);
  return isText ? value : JSON.stringify(value ?? null);
}

function explainedJson({ settings, ...rest }: ExplainedSettings): Record<string, unknown> {
  return {
    ...rest,
    settings: settings.map(({ changed, isAccounts, defaultValue, ...each }) => ({
      ...each,
      default: defaultValue,
      changedAt: changed === null ? null : isoTime(changed.at),
      changedBy: changed?.by ?? null,
      ofAccount: isAccounts,
    })),
  };
}

export function renderAll({ settings }: ExplainedSettings, nowMs: number, width: number, style: Style): string[] {
  return renderTable<ExplainedSetting>(
    [
      { title: "SETTING", value: ({ name }) => name },
      {
        title: "VALUE",
        value: ({ value, now }) => cutValue(now === undefined ? shown(value) : `${shown(value)} (now ${shown(now)})`),
      },
      { title: "UNIT", value: ({ unit }) => unit ?? "-", dropOrder: 1 },
      {
        title: "FROM",
        value: (setting) => describeSource(setting, nowMs),
        paint: ({ source }, text, paint) => (source === "pool" ? paint("cyan", text) : text),
      },
      { title: "WHAT IT DOES", value: ({ does }) => does },
    ],
    settings,
    width,
    style,
  );
}

/** The settings that a pool has of its own. */
export function ownSettingLines(explained: ExplainedSettings, nowMs: number, width: number, style: Style): string[] {
  return explained.settings.length === 0
    ? ["no settings of its own: gpu-pool config explain says what holds, and what each setting does"]
    : renderAll(explained, nowMs, width, style);
}

export function renderOne(
  setting: ExplainedSetting,
  { environmentAt }: Pick<ExplainedSettings, "environmentAt">,
  nowMs: number,
  width: number,
  style: Style,
): string[] {
  const { name, value, now, unit, does, source, variable, aliases, allowed, defaultValue, isAccounts } = setting;
  const row = labelled(width, style);
  const since = environmentAt === null ? "" : `, of the Temporal worker that started ${ago(environmentAt, nowMs)}`;
  const from = source === "environment" ? `environment${since}` : describeSource(setting, nowMs);
  const others = aliases.length === 0 ? "" : ` (also ${aliases.join(", ")})`;
  const scope = isAccounts
    ? "all pools of the account; only the environment sets it"
    : `this pool (gpu-pool config set ${name}=…), or all by the environment`;
  return [
    `${style("bold", name)} = ${plain(shown(value))}${unit === null || value === null ? "" : ` ${unit}`}`,
    row("does", does),
    ...(now === undefined ? [] : [row("now", `${shown(now)}, by an open window: gpu-pool schedule`, "yellow")]),
    row("from", from),
    row("default", defaultValue === null ? "not set" : shown(defaultValue)),
    row("expects", allowed),
    row("variable", `${variable}${others}`),
    row("holds for", scope),
  ];
}

function describeSource({ source, changed }: ExplainedSetting, nowMs: number): string {
  if (source !== "pool") {
    return source;
  }
  const by = changed?.by ? ` by ${plain(changed.by)}` : "";
  return changed === null ? "the pool, since a start" : `the pool, set ${ago(changed.at, nowMs)}${by}`;
}

function ago(at: string, nowMs: number): string {
  return `${formatDuration(Math.max(0, nowMs - Date.parse(at)))} ago`;
}

function shown(value: unknown): string {
  return value === null ? "-" : settableText(value);
}

/** A list of windows or of arguments would leave no room for the rest. */
function cutValue(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 39)}…`;
}
