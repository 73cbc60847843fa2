import { defineSearchAttributeKey, SearchAttributeType } from "@temporalio/common";

export const GPU_POOL = defineSearchAttributeKey("GpuPool", SearchAttributeType.KEYWORD);
export const WORKER_PHASE = defineSearchAttributeKey("WorkerPhase", SearchAttributeType.KEYWORD);
export const POD_ID = defineSearchAttributeKey("PodId", SearchAttributeType.KEYWORD);

/** Registered once per namespace: the dev server by flags, elsewhere by `temporal operator search-attribute create`. */
export const SEARCH_ATTRIBUTES = [GPU_POOL, WORKER_PHASE, POD_ID] as const;

/** The command that adds search attributes to a namespace of Temporal Cloud, where no other program may. */
export function searchAttributeCommand(namespace: string, names: readonly string[]): string {
  const attributes = names.map((name) => ` --search-attribute "${name}=Keyword"`).join("");
  return `tcld namespace search-attributes add --namespace ${namespace}${attributes}`;
}
