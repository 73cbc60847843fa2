import { z } from "zod";
import { problemsOfPods } from "../../activities/pod-request.ts";
import { longestBootSec } from "../../contract/boot-stages.ts";
import { confirm } from "../confirm.ts";
import type { Context } from "../context.ts";
import { ClientError, EXIT } from "../errors.ts";
import { findVolume, type JobGround, placeInWords, placesFor, withJobGround } from "./ground.ts";
import { followJob, howToEnd, jobInWords, startJob } from "./run-job.ts";

/** The tests themselves take seconds. */
const TESTS_SEC = 300;

export interface SpawnTestCheck {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface SpawnTest {
  readonly pod: string;
  readonly state: "done" | "failed" | "refused" | "unknown";
  /** Why it did not succeed; null: it did. */
  readonly reason: string | null;
  /** What the pod found from inside, as far as it came. */
  readonly checks: readonly SpawnTestCheck[];
  /** Null: nothing was rented, or its price is not known. */
  readonly costUsd: number | null;
}

const report = z.object({
  checks: z.array(z.object({ check: z.string(), ok: z.boolean(), detail: z.string() })).default([]),
});

/**
 * Rents one pod as the pool's settings say, which looks at network, GPU and storage from inside, and is deleted and seen gone.
 * @param yes the caller has agreed to the price; else a terminal is asked
 * @throws ClientError where no pod can be rented, or the answer is no
 */
export async function runSpawnTest(
  context: Context,
  pool: string,
  options: { readonly yes: boolean },
): Promise<SpawnTest> {
  return await withJobGround(context, pool, async (ground) => {
    const { database, settings, config } = ground;
    const problems = problemsOfPods(config, settings);
    if (problems.length > 0) {
      throw new ClientError(
        EXIT.failed,
        problems.map(({ message }) => message).join("; "),
        "Correct the pool's settings.",
      );
    }
    const volume = await volumeOf(ground);
    const [place] = await placesFor(ground, settings, volume);
    const timeoutSec = longestBootSec(settings) + TESTS_SEC;
    context.output.note(
      `spawn test of pool ${pool}: one pod with ${placeInWords(place)}, image ${settings.workerImage}`,
    );
    await confirm(context, `Rent it for a few minutes, at most ${Math.ceil(timeoutSec / 60)}?`, options.yes);
    const id = await startJob(context, pool, {
      purpose: "spawn-test",
      settings: volume === null ? {} : { networkVolumeId: volume.id },
      variables: volume === null ? {} : { SPAWN_TEST_VOLUME: volume.id },
      timeoutSec,
      gpuType: place.gpuType,
      priceUsdPerHour: place.usdPerHour,
    });
    context.output.note(howToEnd(pool, id));
    const { result, record } = await followJob(context, database, { pool, id }, (job) =>
      context.output.progress(`${id}: ${jobInWords(job)}`),
    );
    const said = report.safeParse(record?.report ?? {});
    return {
      pod: id,
      state: result.state,
      reason: result.reason,
      checks: said.success ? said.data.checks : [],
      costUsd: record?.workers.cost_usd ?? null,
    };
  });
}

/** Null: the pool has none. */
async function volumeOf(ground: JobGround): Promise<{ id: string; dataCenterId: string | null } | null> {
  const { networkVolumeId, storageName } = ground.settings;
  if (!networkVolumeId && !storageName) {
    return null;
  }
  const volume = await findVolume(ground);
  if (volume === null) {
    throw new ClientError(
      EXIT.failed,
      `no network volume is named ${storageName} (RUNPOD_STORAGE_NAME)`,
      "Make it: gpu-pool volume prepare.",
    );
  }
  return volume;
}
