import { expect, it } from "vitest";
import type { Database } from "../../../src/supabase/client.ts";
import { measure } from "../../../src/supabase/measured/figures.ts";

const NOW = 1_800_000_000_000;

async function asked(ageSec: number | null, full: boolean): Promise<readonly unknown[]> {
  const calls: unknown[] = [];
  const database: Pick<Database, "call"> = {
    call: async (_name, args, answer) => {
      calls.push(args["p_every_sec"]);
      return answer.parse(null);
    },
  };
  const request = { everySec: 5, knownMs: ageSec === null ? null : NOW - ageSec * 1000, target: null };
  await measure(database, "main", request, { nowMs: NOW, queued: 0, fleetHash: "empty" }, full);
  return calls;
}

it("asks the database for figures when those at hand are too old, and in each full pass", async () => {
  expect(await asked(4.9, false)).toEqual([]);
  expect(await asked(5, false)).toEqual([5]);
  expect(await asked(null, false)).toEqual([5]);
  // The database's clock was set back.
  expect(await asked(-60, false)).toEqual([5]);
  // Only a full pass finds tasks that came and ended in between, so none may be left out for young figures.
  expect(await asked(1, true)).toEqual([0]);
});
