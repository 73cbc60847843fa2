import { z } from "zod";

const ms = z.number().int().min(0);

/** Timings of the simulated provider. A change applies to phases and requests that begin after it. */
export const settingsSchema = z.strictObject({
  provisioningMs: ms,
  startingMs: ms,
  /** How long a deleted pod still shows as TERMINATED. */
  deleteLagSec: z.number().min(0),
  /** Time between SIGTERM and SIGKILL for a pod's process. */
  stopGraceMs: ms,
  /** Largest page of a list, even when the request's limit is higher. */
  pageSize: z.number().int().min(1).max(1000),
  /** The account has no funds: the status with which every create request is refused. Null: it has funds. */
  noFundsStatus: z.union([z.literal(400), z.literal(402), z.literal(403), z.literal(500)]).nullable(),
});

export type SimulatorSettings = z.infer<typeof settingsSchema>;

export const DEFAULT_SETTINGS: SimulatorSettings = {
  provisioningMs: 1500,
  startingMs: 2500,
  deleteLagSec: 5,
  stopGraceMs: 5000,
  pageSize: 1000,
  noFundsStatus: null,
};
