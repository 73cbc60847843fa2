import { plain, type Style } from "./output.ts";

/** A row of pool_events. */
interface Event {
  readonly at: string;
  readonly kind: string;
  readonly reason: string;
  readonly worker_id: string | null;
  readonly task_id: string | null;
}

/** One line: time (UTC), kind, the worker and the task that it is about, the reason in words. */
export function renderEvent({ at, kind, reason, worker_id: worker, task_id: task }: Event, style: Style): string {
  const about = [worker, task].filter((id) => id !== null).map((id) => style("bold", plain(id)));
  const time = at.slice(5, 19).replace("T", " ");
  return [style("dim", time), style("cyan", plain(kind).padEnd(16)), ...about, plain(reason)].join(" ");
}
