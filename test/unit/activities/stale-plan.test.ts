import { asyncLocalStorage, type Context } from "@temporalio/activity";
import { describe, expect, it } from "vitest";
import { createPoolActivities, type PoolDeps } from "../../../src/activities/pool.ts";
import { loadConfig } from "../../../src/config/config.ts";

const config = loadConfig({
  SUPABASE_URL: "http://127.0.0.1:1",
  SUPABASE_ANON_KEY: "anon",
  SUPABASE_SERVICE_ROLE_KEY: "service",
  RUNPOD_API_KEY: "key",
});

/** Books what a watch of `plannedIn` planned, in the run `run-2`. @returns the outcome, and the decisions that were booked. */
async function reserve(plannedIn: string | undefined) {
  const booked: string[] = [];
  const pools = {
    async settings() {
      return { own: {}, environment: {} };
    },
    async reserve(_pool: string, { decisionId }: { readonly decisionId: string }) {
      booked.push(decisionId);
      return { outcome: "over_budget", workers: [], nowMs: 0 };
    },
  };
  const market = { catalog: async () => null };
  const deps = { config, deployment: "ours", pools, market } as unknown as PoolDeps;
  const { reserveWorkers } = createPoolActivities(deps);
  const action = { kind: "spawn", count: 1, max: 1, intentVersion: 1, reason: "", caps: {} } as never;
  const context = {
    info: { workflowExecution: { workflowId: "gpu-pool/main", runId: "run-2" } },
  } as unknown as Context;
  const { outcome } = await asyncLocalStorage.run(context, () => reserveWorkers("main", "d1", action, plannedIn));
  return { outcome, booked };
}

describe("invariant 18: a plan of a run before a reset", () => {
  it("books nothing, because it may be hours old; a plan of this run is booked", async () => {
    expect(await reserve("run-1")).toEqual({ outcome: "stale_plan", booked: [] });
    expect(await reserve("run-2")).toEqual({ outcome: "over_budget", booked: ["d1"] });
    expect(await reserve(undefined)).toEqual({ outcome: "over_budget", booked: ["d1"] });
  });
});
