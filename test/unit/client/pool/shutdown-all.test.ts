import { describe, expect, it } from "vitest";
import { describePlan } from "../../../../src/client/commands/pool/shutdown-all.ts";
import { withNamed } from "../../../../src/client/pool-name.ts";

describe("what a shutdown of all pools would do", () => {
  it("names each pool with its workers, and what they cost", () => {
    const pools = [
      { pool: "main", workers: 3, busy: 1, usdPerHour: 2.07, external: 1 },
      { pool: "nightly", workers: 0, busy: 0, usdPerHour: 0, external: 0 },
    ];
    expect(describePlan(pools)).toEqual([
      "pool main: 3 workers, 1 at work; 1 external, which drain and stay",
      "pool nightly: 0 workers",
      "each drains: running tasks are finished, every pod is deleted ($2.07 an hour now), and none comes back until gpu-pool resume",
    ]);
    expect(describePlan([])).toEqual(["there is no pool but those that were shut down: nothing to drain"]);
  });
});

describe("a pool that is named", () => {
  it("by argument is the one of --pool; two different names are refused", () => {
    expect(withNamed({ json: true }, "nightly")).toEqual({ json: true, pool: "nightly" });
    expect(withNamed({ pool: "nightly" }, "nightly")).toEqual({ pool: "nightly" });
    expect(withNamed({ pool: "nightly" }, undefined)).toEqual({ pool: "nightly" });
    expect(() => withNamed({ pool: "nightly" }, "main")).toThrow("main and --pool nightly name two pools");
  });
});
