import { cut, plain, type Style } from "./output.ts";
import { causeOf, textOf } from "./stored.ts";

const HIDDEN = new Set(["level", "time", "pid", "name", "msg", "err"]);
const COLOURS = new Map<unknown, Parameters<Style>[0]>([
  ["info", "cyan"],
  ["warn", "yellow"],
  ["error", "red"],
  ["fatal", "red"],
]);

const LONGEST_MESSAGE = 300;

/** A log line of the Temporal SDK about itself that needs no attention. */
export function isSdkChatter(line: string): boolean {
  const entry = parse(line);
  return (
    entry !== null &&
    "sdkComponent" in entry &&
    (entry["level"] === "info" || /, not polling for /.test(textOf(entry["msg"])))
  );
}

/** A JSON log line for people: time, level, message, fields. Any other line stays as it is. */
export function prettyLogLine(line: string, style: Style): string {
  const entry = parse(line);
  if (entry === null) {
    return plain(line);
  }
  const { level, time, msg, err } = entry;
  const fields = Object.entries(entry)
    .filter(([name]) => !HIDDEN.has(name))
    .map(([name, value]) => `${name}=${textOf(value)}`);
  const cause = causeOf(err);
  const colour = COLOURS.get(level) ?? "dim";
  return [
    style("dim", plain(textOf(time)).slice(11, 19)),
    style(colour, plain(textOf(level)).padEnd(5)),
    cut(plain([textOf(msg), ...(cause === null ? [] : [cause])].join(": ")), LONGEST_MESSAGE),
    ...(fields.length === 0 ? [] : [style("dim", plain(fields.join(" ")))]),
  ].join(" ");
}

function parse(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && "level" in value && "msg" in value ? { ...value } : null;
  } catch {
    return null;
  }
}
