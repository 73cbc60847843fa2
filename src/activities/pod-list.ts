import type { ListPodsOutcome } from "../runpod/outcomes.ts";

/**
 * Shares lists between callers. Each caller gets a list that was requested after its call; at most one list is under way
 * and one is waiting, however many callers there are.
 */
export function sharedPodList(listPods: () => Promise<ListPodsOutcome>): () => Promise<ListPodsOutcome> {
  let running: Promise<unknown> = Promise.resolve();
  let waiting: Promise<ListPodsOutcome> | null = null;
  return () => {
    if (waiting === null) {
      waiting = running.then(async () => {
        waiting = null;
        const list = listPods();
        running = list.catch(() => undefined);
        return await list;
      });
    }
    return waiting;
  };
}
