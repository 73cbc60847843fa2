import {
  ActivityCancellationType,
  continueAsNew,
  proxyActivities,
  setCurrentDetails,
  workflowInfo,
} from "@temporalio/workflow";
import type { DeliveryCounts, NotificationActivities, NotificationsInput } from "../contract/upkeep.ts";
import { requireInput } from "./require-input.ts";
import { receiveSignals } from "./signals.ts";

const { deliverNotifications } = proxyActivities<NotificationActivities>({
  startToCloseTimeout: "6m",
  heartbeatTimeout: "30s",
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  retry: { initialInterval: "1s", maximumInterval: "30s" },
  summary: "deliver what is due, and wait for more",
});

/** Delivers the outbox, without end. Addresses, secrets and payloads stay in the activity; the history has counts only. */
export async function notifications(input: NotificationsInput = {}): Promise<void> {
  requireInput(input, []);
  receiveSignals(() => undefined);
  let total: DeliveryCounts = input.carried ?? { delivered: 0, failed: 0, dead: 0 };
  for (;;) {
    const { delivered, failed, dead } = await deliverNotifications();
    total = { delivered: total.delivered + delivered, failed: total.failed + failed, dead: total.dead + dead };
    setCurrentDetails(
      `${total.delivered} delivered, ${total.failed} attempts failed, ${total.dead} given up (dead) since the start`,
    );
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    if (continueAsNewSuggested || (input.maxHistoryLength !== undefined && historyLength >= input.maxHistoryLength)) {
      await continueAsNew<typeof notifications>({ ...input, carried: total });
    }
  }
}
