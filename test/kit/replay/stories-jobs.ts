import type { WorkflowHandle } from "@temporalio/client";
import type { FakeRow } from "../workflow/fake-fleet.ts";
import { type Stage, until } from "../workflow/fake-service.ts";

const ID = "0a1b2c3d";

async function play(stage: Stage, end: (row: FakeRow) => void): Promise<readonly WorkflowHandle[]> {
  const id = `${stage.pool}-${ID}`;
  const job = await stage.startJob(id);
  await until(
    () => stage.rows.get(id)?.podId ?? null,
    (podId) => {
      if (podId === null) {
        throw new Error("its pod is not there yet");
      }
    },
  );
  end(stage.rows.get(id) as FakeRow);
  await job.result();
  return [job];
}

/** The pod of a job, from its reservation to its burial. */
export const JOB_STORIES = (["done", "failed"] as const).map((state) => ({
  name: `podJob-${state}`,
  play: (stage: Stage) =>
    play(stage, (row) => {
      stage.beat(row);
      const error = state === "failed" ? "the volume is full" : null;
      row.job = { purpose: "volume-prepare", timeoutSec: 600, state, error };
    }),
}));
