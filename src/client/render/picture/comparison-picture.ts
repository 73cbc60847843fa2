import type { Compared, Comparison } from "../../../backtest/compare.ts";
import type { Course } from "../../../backtest/outcome.ts";
import { cut } from "../output.ts";
import { type Area, grid, line, linearAxis, logAxis, px, svg, text } from "./svg.ts";

const WIDTH = 960;
const MARGIN = { left: 60, right: 30 };
const INNER = WIDTH - MARGIN.left - MARGIN.right;
const PLOT_HEIGHT = 320;
const COURSE_HEIGHT = 120;
const LEGEND_LINE = 18;
/** More would make the picture longer than anybody looks at. */
const MOST_COURSES = 4;
const COLOURS = ["#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b"];
const QUEUE_COLOUR = "#d62728";
const LEGEND_LABEL_CHARS = 78;

/** An SVG picture: cost against the wait at 95 %, and below it fleet and queue over time of the first candidates. */
export function drawComparison(about: string, comparison: Comparison): string {
  const { results } = comparison;
  const title = `${about}: ${comparison.tasks} tasks, boots of ${Math.round(comparison.circumstances.bootSec)} s`;
  const plot: Area = { left: MARGIN.left, top: 60, width: INNER, height: PLOT_HEIGHT };
  const legendTop = plot.top + plot.height + 60;
  const coursesTop = legendTop + results.length * LEGEND_LINE + 30;
  const courses = results.slice(0, MOST_COURSES);
  const parts = [
    text(MARGIN.left, 28, title, { size: 16, bold: true }),
    ...costAgainstWait(plot, comparison),
    ...results.map((each, place) => legendLine(each, place, legendTop + place * LEGEND_LINE, colourOf(results, each))),
    ...courses.flatMap((each, place) => {
      const area = {
        left: MARGIN.left,
        top: coursesTop + place * (COURSE_HEIGHT + 60),
        width: INNER,
        height: COURSE_HEIGHT,
      };
      return overTime(area, `${place + 1}  ${each.label}`, each.outcome.course, colourOf(results, each));
    }),
  ];
  return svg(WIDTH, coursesTop + courses.length * (COURSE_HEIGHT + 60), title, parts);
}

/** One colour for each policy, so that the settings of one form a line. */
function colourOf(results: readonly Compared[], { settings }: Compared): string {
  const policies = [...new Set(results.map((each) => each.settings.policy))];
  return COLOURS[policies.indexOf(settings.policy) % COLOURS.length] ?? "#333333";
}

function costAgainstWait(area: Area, { results, bounds }: Comparison): string[] {
  const costs = results.map(({ outcome }) => outcome.gpuSec / 3600);
  const least = bounds.noWaitSec / 3600;
  const waits = results.map(({ outcome }) => outcome.waitSec.p95);
  const [low, high] = [Math.min(...costs, least), Math.max(...costs, least)];
  const y = linearAxis(low - (high - low) * 0.1, high, area.top + area.height, area.top);
  const x = logAxis(Math.max(1, Math.min(...waits)), Math.max(10, ...waits), area.left, area.left + area.width);
  const bottom = area.top + area.height;
  const place = ({ outcome }: Compared) => [x.at(outcome.waitSec.p95), y.at(outcome.gpuSec / 3600)] as const;
  return [
    text(area.left, area.top - 10, "GPU hours"),
    ...grid(area, y, (value) => String(Math.round(value * 10) / 10)),
    ...x.ticks.flatMap((tick) => [
      line(x.at(tick), bottom, x.at(tick), bottom + 4, "#999999"),
      text(x.at(tick), bottom + 18, String(tick), { anchor: "middle", size: 11, colour: "#666666" }),
    ]),
    text(area.left + area.width, bottom + 36, "wait that 95 of 100 tasks do not exceed, seconds", { anchor: "end" }),
    `<path d="M${px(area.left)} ${px(y.at(least))}h${px(area.width)}" stroke="#999999" stroke-dasharray="6 4"/>`,
    text(area.left + area.width, y.at(least) - 5, "least without any wait", {
      anchor: "end",
      size: 11,
      colour: "#666666",
    }),
    ...linesOfPolicies(results, place),
    ...results.flatMap((each, number) => {
      const [left, top] = place(each);
      return [
        `<circle cx="${px(left)}" cy="${px(top)}" r="4" fill="${colourOf(results, each)}"/>`,
        text(left + 7, top - 5, String(number + 1), { size: 11, bold: true }),
      ];
    }),
  ];
}

/** Joins the settings of each policy in the order of their waits. */
function linesOfPolicies(results: readonly Compared[], place: (each: Compared) => readonly [number, number]): string[] {
  const policies = [...new Set(results.map(({ settings }) => settings.policy))];
  return policies.flatMap((policy) => {
    const ofPolicy = results.filter(({ settings }) => settings.policy === policy);
    const sorted = ofPolicy.toSorted((a, b) => a.outcome.waitSec.p95 - b.outcome.waitSec.p95);
    const [first] = sorted;
    if (first === undefined || sorted.length < 2) {
      return [];
    }
    const points = sorted.map((each) => place(each).map(px).join(" "));
    return [`<path d="M${points.join("L")}" fill="none" stroke="${colourOf(results, first)}" stroke-opacity="0.5"/>`];
  });
}

function legendLine({ label, ratio, outcome, usd }: Compared, place: number, top: number, colour: string): string {
  const { mean, p95 } = outcome.waitSec;
  const cost = `${(outcome.gpuSec / 3600).toFixed(1)} GPU h${ratio === null ? "" : ` (× ${ratio.toFixed(2)})`}`;
  const price = usd === null ? "" : `, $${usd.toFixed(2)}`;
  const shown = cut(label, LEGEND_LABEL_CHARS);
  const words = `${place + 1}  ${shown}: ${cost}${price}; waits: mean ${Math.round(mean)} s, p95 ${Math.round(p95)} s`;
  return [
    `<circle cx="${MARGIN.left + 4}" cy="${px(top - 4)}" r="4" fill="${colour}"/>`,
    text(MARGIN.left + 14, top, words, { size: 12 }),
  ].join("");
}

/** Workers as areas, the busy ones darker; the queue as a line by its own axis on the right. */
function overTime(area: Area, title: string, course: Course, colour: string): string[] {
  const { fromMs, stepMs, workers, busy, queued } = course;
  const bottom = area.top + area.height;
  const y = linearAxis(0, Math.max(1, ...workers), bottom, area.top);
  const most = Math.max(1, ...queued);
  const x = (step: number) => area.left + (step / Math.max(1, workers.length)) * area.width;
  const steps = (values: readonly number[], at: (value: number) => number) => stepsOf(values.map(at).map(px), x);
  const filled = (values: readonly number[], opacity: number) =>
    `<path d="M${px(area.left)} ${px(bottom)}${steps(values, y.at)}V${px(bottom)}Z" fill="${colour}" fill-opacity="${opacity}"/>`;
  const queueAt = (value: number) => bottom - (value / most) * area.height;
  const toMs = fromMs + workers.length * stepMs;
  const queueNote = { anchor: "end", size: 11, colour: QUEUE_COLOUR } as const;
  return [
    text(area.left, area.top - 10, title, { size: 12, bold: true }),
    text(area.left + area.width, area.top - 10, `queue (line), at most ${Math.ceil(most)}`, queueNote),
    ...grid(area, y, (value) => String(Math.round(value * 10) / 10)),
    filled(workers, 0.3),
    filled(busy, 0.6),
    `<path d="M${px(area.left)} ${px(bottom)}${steps(queued, queueAt)}" fill="none" stroke="${QUEUE_COLOUR}" stroke-width="0.8"/>`,
    text(area.left, bottom + 16, dateOf(fromMs), { size: 11, colour: "#666666" }),
    text(area.left + area.width, bottom + 16, dateOf(toMs), { anchor: "end", size: 11, colour: "#666666" }),
  ];
}

/** A path of steps from the left; equal ones are one. */
function stepsOf(heights: readonly string[], x: (step: number) => number): string {
  return heights.map((height, step) => (height === heights[step + 1] ? "" : `V${height}H${px(x(step + 1))}`)).join("");
}

function dateOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
