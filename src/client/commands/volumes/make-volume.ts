import type { NetworkVolume } from "../../../runpod/types.ts";
import { type JobStore, jobStore, VOLUME_SETTLE_SEC } from "../../../supabase/jobs/job-store.ts";
import { ClientError, EXIT } from "../../errors.ts";
import type { JobGround } from "../../jobs/ground.ts";

export interface NewVolume {
  readonly name: string;
  readonly sizeGb: number;
  readonly dataCenterId: string;
}

/**
 * Makes one volume of this name, also where the command died and is run again: the database keeps that it was asked for.
 * @throws ClientError
 */
export async function makeVolume(ground: JobGround, wanted: NewVolume): Promise<NetworkVolume> {
  const jobs = jobStore(ground.database);
  for (;;) {
    const { elected, volumeId, askedSecAgo } = await jobs.requestVolume(wanted.name);
    if (elected) {
      return await ask(ground, jobs, wanted);
    }
    const volume = volumeId === null ? null : await madeBefore(ground, volumeId);
    if (volume !== null) {
      return volume;
    }
    if (volumeId === null) {
      const leftMin = Math.max(1, Math.ceil((VOLUME_SETTLE_SEC - askedSecAgo) / 60));
      throw new ClientError(
        EXIT.failed,
        `a volume named ${wanted.name} was asked for ${askedSecAgo} s ago, and the answer is not known: it may exist and cost money`,
        `Run this again: it goes on once a list shows the volume, or asks anew in ${leftMin} min.`,
      );
    }
    // It was deleted at the provider since.
    await jobs.volumeAnswered(wanted.name, null);
  }
}

/** A list may still lack it; its id does not. */
async function madeBefore({ runpod }: JobGround, volumeId: string): Promise<NetworkVolume | null> {
  const found = await runpod.getVolume(volumeId);
  if (found.kind === "unknown") {
    throw new ClientError(EXIT.failed, `volume ${volumeId} could not be read: ${found.detail}`, "Try again.");
  }
  return found.kind === "found" ? found.volume : null;
}

async function ask({ runpod, context }: JobGround, jobs: JobStore, wanted: NewVolume): Promise<NetworkVolume> {
  const { name, sizeGb, dataCenterId } = wanted;
  const made = await runpod.createVolume({ name, sizeGb, dataCenterId });
  if (made.kind !== "created") {
    if (made.kind === "refused") {
      await jobs.volumeAnswered(name, null);
    }
    const detail = `volume ${name} was not made in ${dataCenterId}: ${made.detail}`;
    const maybe = "It may exist and cost money. Run this again: it waits until lists must show it.";
    throw new ClientError(EXIT.failed, detail, made.kind === "ambiguous" ? maybe : "Choose another --data-center.");
  }
  await jobs.volumeAnswered(name, made.volume.id);
  context.output.note(`volume ${made.volume.id} is made`);
  return { ...made.volume, sizeGb: made.volume.sizeGb ?? sizeGb };
}
