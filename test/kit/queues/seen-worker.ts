import type { SeenWorker } from "../../../src/supabase/fleet/fleet-store.ts";

/** A worker as the database shows it: idle, without an end. */
export function seen(change: Partial<SeenWorker>): SeenWorker {
  return {
    id: "main-0a1b2c3d",
    pool: "main",
    status: "active",
    origin: "pool",
    instance_type: "RTX 4090",
    pod_id: "pod1",
    boot_stage: "ready",
    boot_stage_at: "2026-11-22T00:00:00Z",
    created_at: "2026-11-22T01:00:00Z",
    ready_at: null,
    last_heartbeat: "2026-11-22T01:59:56Z",
    vram_total_mb: 24_576,
    vram_used_mb: 3_072,
    status_reason: null,
    terminating_at: null,
    failed_at: null,
    failed_on: null,
    pod_created_at: "2026-11-22T01:00:00Z",
    deleted_at: null,
    gone_at: null,
    cost_per_hr_usd: 0.6,
    cost_usd: null,
    held: [],
    ...change,
  };
}
