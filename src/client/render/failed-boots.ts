import { plain, type Style } from "./output.ts";
import { isoTime } from "./stored.ts";

/** Lines of a pod's log that are shown; `--json` has all that are kept. */
const SHOWN_LINES = 10;

export interface FailedBoot {
  readonly worker: string;
  /** ISO 8601. */
  readonly at: string;
  readonly stage: string | null;
  readonly reason: string;
  /** Of the pod's log, the oldest first. */
  readonly lines: readonly string[];
}

/** Each worker that failed before it was ready, with the last lines of its pod's log, and a blank line after it. */
export function describeFailedBoots(boots: readonly FailedBoot[], style: Style): string[] {
  return boots.flatMap(({ worker, at, stage, reason, lines }) => {
    const when = `${isoTime(at).slice(0, 19)}Z`;
    const where = stage === null ? "" : ` in boot stage ${plain(stage)}`;
    const said = lines.slice(-SHOWN_LINES).map((line) => `    ${plain(line)}`);
    return [
      style("red", `${plain(worker)} failed at ${when}${where}: ${plain(reason)}`),
      ...(said.length === 0 ? ["    the provider showed no log of its pod"] : said),
      "",
    ];
  });
}
