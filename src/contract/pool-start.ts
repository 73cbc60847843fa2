import type { GpuPoolInput } from "./inputs.ts";
import { poolWorkflowId } from "./names.ts";
import { GPU_POOL } from "./search-attributes.ts";

/** Options for the start of a pool's workflow, the same for every caller. */
export function poolStart(input: GpuPoolInput) {
  const args: [GpuPoolInput] = [input];
  return {
    workflowId: poolWorkflowId(input.pool),
    args,
    staticSummary: `GPU pool ${input.pool}`,
    typedSearchAttributes: [{ key: GPU_POOL, value: input.pool }],
  };
}
