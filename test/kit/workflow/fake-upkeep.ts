import { Context } from "@temporalio/activity";
import type { JanitorActivities, NotificationActivities } from "../../../src/contract/upkeep.ts";

/** The work beside the pools, with nothing behind it. */
export const fakeUpkeep: JanitorActivities & NotificationActivities = {
  async deliverNotifications() {
    await Context.current().sleep(50);
    return { delivered: 2, failed: 1, dead: 0 };
  },
  reconcileWorkers: async () => ({ findings: [], leftOut: 0, unknown: [], done: [], failed: [] }),
  bringBackPools: async () => ({ findings: [], failed: [] }),
  repairTasks: async () => ({ released: 0 }),
  cleanUpTables: async () => ({ pool_events: 5 }),
  cleanUpFiles: async () => ({ deleted: 0 }),
  cleanUpLogs: async () => ({ deleted: 3 }),
  cleanUpOutbox: async () => ({ deleted: 4 }),
};
