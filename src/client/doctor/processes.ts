import { processStore } from "../../supabase/processes/process-store.ts";
import { formatDuration } from "../render/durations.ts";
import { type Finding, ok, reasonOf, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

const CHECK = "worker processes";

/** The Temporal worker processes that tell this database that they live. */
export async function checkProcesses({ database }: Pick<Subject, "database">): Promise<Finding[]> {
  try {
    const living = await processStore(database).living();
    const shown = living.map(({ host, version, taskQueue, startedMs, seenMs }) => {
      const age = formatDuration(Math.max(0, seenMs - startedMs));
      return `${host} (${version}, task queue ${taskQueue}, for ${age})`;
    });
    return [
      living.length === 0
        ? warning(CHECK, "none has given a sign of life for a minute", "Start one: gpu-pool run")
        : ok(CHECK, shown.join(", ")),
    ];
  } catch (error) {
    return [warning(CHECK, `could not be read: ${reasonOf(error)}`, "See what the check of the schema says.")];
  }
}
