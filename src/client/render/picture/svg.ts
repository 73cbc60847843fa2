import { plain } from "../output.ts";

/** A rectangle of the picture, in pixels from its upper left corner. */
export interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** An axis: where a value lies, in pixels, and which values are marked. */
export interface Axis {
  at(value: number): number;
  readonly ticks: readonly number[];
}

export function linearAxis(low: number, high: number, fromPx: number, toPx: number): Axis {
  const step = roundStep((high - low) / 5);
  const [first, last] = [Math.floor(low / step) * step, Math.max(low + step, Math.ceil(high / step) * step)];
  const at = (value: number) => fromPx + ((value - first) / (last - first)) * (toPx - fromPx);
  const ticks = Array.from({ length: Math.round((last - first) / step) + 1 }, (_, n) => first + n * step);
  return { at, ticks };
}

/** Equal distances are equal ratios; values below `low` lie at its place. */
export function logAxis(low: number, high: number, fromPx: number, toPx: number): Axis {
  const steps = [1, 2, 5];
  const marks = Array.from({ length: 10 }, (_, power) => steps.map((step) => step * 10 ** (power - 1))).flat();
  const first = marks.findLast((mark) => mark <= low) ?? 0.1;
  const last = marks.find((mark) => mark >= high && mark > first) ?? high;
  const at = (value: number) =>
    fromPx + (Math.log(Math.max(value, first) / first) / Math.log(last / first)) * (toPx - fromPx);
  return { at, ticks: marks.filter((mark) => mark >= first && mark <= last) };
}

function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1e-9)));
  return power * ([1, 2, 5, 10].find((step) => step * power >= rough) ?? 10);
}

interface TextStyle {
  readonly anchor?: "start" | "middle" | "end";
  readonly size?: number;
  readonly colour?: string;
  readonly bold?: boolean;
}

export function text(x: number, y: number, words: string, style: TextStyle = {}): string {
  const { anchor = "start", size = 12, colour = "#333333", bold = false } = style;
  const weight = bold ? ' font-weight="bold"' : "";
  return `<text x="${px(x)}" y="${px(y)}" font-size="${size}" fill="${colour}" text-anchor="${anchor}"${weight}>${escaped(words)}</text>`;
}

export function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  return `<line x1="${px(x1)}" y1="${px(y1)}" x2="${px(x2)}" y2="${px(y2)}" stroke="${colour}"/>`;
}

/** Horizontal lines at the ticks, with their values to the left. */
export function grid({ left, width }: Area, { at, ticks }: Axis, show: (value: number) => string): string[] {
  return ticks.flatMap((tick) => [
    line(left, at(tick), left + width, at(tick), "#e4e4e4"),
    text(left - 6, at(tick) + 4, show(tick), { anchor: "end", size: 11, colour: "#666666" }),
  ]);
}

export function svg(width: number, height: number, title: string, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${px(height)}" font-family="sans-serif">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${px(height)}" fill="#ffffff"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

export function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Text as XML holds it. Control characters, which it cannot hold, are left out. */
function escaped(words: string): string {
  const marks: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return plain(words).replace(/[&<>"]/g, (mark) => marks[mark] ?? mark);
}
