import type { PatchActivationCallback } from "@temporalio/worker";

/**
 * Ids of `patched()` changes that the release before this one does not know. A process of that release could not replay a
 * run that began them, so this release only replays them. The next release takes them out (docs/deployment/upgrades.md).
 */
const DORMANT: ReadonlySet<string> = new Set<string>([]);

/** Whether runs may begin a patch here. A run that has begun it elsewhere goes on with it in any case. */
export const mayBegin: PatchActivationCallback = ({ patchId }) => !DORMANT.has(patchId);
