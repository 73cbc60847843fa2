import type { ListPodsOutcome } from "../runpod/outcomes.ts";

/**
 * Shares complete lists between callers: each gets one that was begun after it asked, and however many ask at once,
 * at most one list is under way and one is waiting.
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
