import { DEPLOYMENT } from "./deployment.ts";
import type { GpuPoolInput } from "./inputs.ts";
import { poolWorkflowId } from "./names.ts";
import { GPU_POOL } from "./search-attributes.ts";

/**
 * Options for the start of a pool's workflow, the same for every caller.
 * @param deployment null: unknown; the workflow learns it when it opens the pool.
 */
export function poolStart(input: GpuPoolInput, deployment: string | null) {
  const args: [GpuPoolInput] = [input];
  return {
    workflowId: poolWorkflowId(input.pool),
    args,
    ...(deployment === null ? {} : { memo: { [DEPLOYMENT]: deployment } }),
    staticSummary: `GPU pool ${input.pool}`,
    typedSearchAttributes: [{ key: GPU_POOL, value: input.pool }],
  };
}
