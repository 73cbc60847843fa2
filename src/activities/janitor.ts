import { Context } from "@temporalio/activity";
import type { JanitorActivities } from "../contract/upkeep.ts";
import type { LogStore } from "../supabase/log-store.ts";
import type { OutboxStore } from "../supabase/outbox-store.ts";

const LOG_RETENTION_HOURS = 48;
const OUTBOX_RETENTION_HOURS = 168;

export interface JanitorDeps {
  readonly logs: Pick<LogStore, "cleanUp">;
  readonly outbox: Pick<OutboxStore, "clean">;
}

export function createJanitorActivities({ logs, outbox }: JanitorDeps): JanitorActivities {
  return {
    cleanUpLogs: () => inParts(() => logs.cleanUp(LOG_RETENTION_HOURS)),
    cleanUpOutbox: () => inParts(() => outbox.clean(OUTBOX_RETENTION_HOURS)),
  };
}

/** Deletes in several calls, because each database call must end within the statement timeout. */
async function inParts(removePart: () => Promise<{ deleted: number; more: boolean }>): Promise<{ deleted: number }> {
  let deleted = 0;
  for (;;) {
    Context.current().heartbeat();
    const part = await removePart();
    deleted += part.deleted;
    if (!part.more) {
      return { deleted };
    }
  }
}
