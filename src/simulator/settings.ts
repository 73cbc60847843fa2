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
  /** Images whose name begins with one of these can be pulled only by a pod with a registry login. */
  privateImages: z.array(z.string().min(1)),
  /** A create request with which all pods together would cost more is refused. Null: no limit. */
  spendLimitUsdPerHour: z.number().min(0).nullable(),
  /** What the account had before its first pod. Only the balance depends on it. */
  creditUsd: z.number(),
});

export type SimulatorSettings = z.infer<typeof settingsSchema>;

export const DEFAULT_SETTINGS: SimulatorSettings = {
  provisioningMs: 1500,
  startingMs: 2500,
  deleteLagSec: 5,
  stopGraceMs: 5000,
  pageSize: 1000,
  noFundsStatus: null,
  privateImages: [],
  spendLimitUsdPerHour: null,
  creditUsd: 100,
};
