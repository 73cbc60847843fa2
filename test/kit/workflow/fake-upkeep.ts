import { Context } from "@temporalio/activity";
import type { JanitorActivities, NotificationActivities } from "../../../src/contract/upkeep.ts";

/** The work beside the pools, with nothing behind it. */
export const fakeUpkeep: JanitorActivities & NotificationActivities = {
  async deliverNotifications() {
    await Context.current().sleep(50);
    return { delivered: 2, failed: 1, dead: 0 };
  },
  cleanUpLogs: async () => ({ deleted: 3 }),
  cleanUpOutbox: async () => ({ deleted: 4 }),
};
