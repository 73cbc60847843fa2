import { type FaultInput, faultSchema } from "./faults.ts";
import { buildLedger } from "./ledger.ts";
import { type MarketRule, type Offer, ruleSchema } from "./market/market.ts";
import { settingsSchema, type SimulatorSettings } from "./settings.ts";
import type { SimulatorState } from "./state.ts";
import type { Ledger, RequestLogEntry, VolumeEntry } from "./types.ts";

/** Observes and controls the simulator beyond the provider's API; also served under `/_sim`. */
export interface SimulatorControls {
  ledger(): Ledger;
  /** The last 10,000 requests to the API, oldest first. */
  requests(): readonly RequestLogEntry[];
  settings(): SimulatorSettings;
  /** Changes some settings and returns all. Throws on values out of range. */
  configure(changes: { readonly [K in keyof SimulatorSettings]?: SimulatorSettings[K] | undefined }): SimulatorSettings;
  /** Adds a fault for the next matching requests. */
  addFault(fault: FaultInput): void;
  /** Removes the faults that no request has used up. Pods under a fault keep it. */
  clearFaults(): void;
  /** What is in stock, at which price: one entry for each GPU type, cloud and data center. */
  market(): readonly Offer[];
  /** Changes stock and prices; the catalog and create requests follow at once. Throws on unknown names. */
  changeMarket(...rules: MarketRule[]): void;
  /** Everything is in stock again, at the catalog's prices. */
  resetMarket(): void;
  /** The network volumes that exist, with their folders. */
  volumes(): readonly VolumeEntry[];
  /**
   * Makes one light pod, or all that run, claim a task each, work on it for `taskSec` and complete it without a file.
   * @returns pod id → task id, null where the queue had none for it; pods with a process are left out.
   * Rejects when a claim fails.
   */
  claimTasks(taskSec: number, podId?: string): Promise<Record<string, string | null>>;
  /** kill -9 of the pod's process; false when it has none. */
  killPod(id: string): boolean;
  /** Makes the pod disappear at once, as if its host were lost; false when it is gone already. */
  vanishPod(id: string): boolean;
}

export function createControls(
  state: SimulatorState,
  requests: readonly RequestLogEntry[],
  change: (settings: SimulatorSettings) => void,
): SimulatorControls {
  const { fleet, faults, market, volumes, settings, now } = state;
  return {
    ledger: () => buildLedger(fleet.all(), now()),
    requests: () => [...requests],
    settings,
    configure(changes) {
      change(settingsSchema.parse({ ...settings(), ...changes }));
      return settings();
    },
    addFault: (fault) => faults.add(faultSchema.parse(fault)),
    clearFaults: () => faults.clear(),
    market: () => market.offers(),
    changeMarket: (...rules) => market.change(rules.map((rule) => ruleSchema.parse(rule))),
    resetMarket: () => market.reset(),
    volumes: () =>
      volumes
        .all()
        .filter(({ deleted }) => !deleted)
        .map(({ id, name, sizeGb, dataCenterId, type, folder }) => ({ id, name, sizeGb, dataCenterId, type, folder })),
    async claimTasks(taskSec, podId) {
      const pods = fleet.all().filter(({ id, process }) => process?.claimTask && (podId === undefined || id === podId));
      const claims = pods.map(async ({ id, process }) => [id, (await process?.claimTask?.(taskSec)) ?? null] as const);
      return Object.fromEntries(await Promise.all(claims));
    },
    killPod(id) {
      const pod = fleet.find(id);
      return pod !== undefined && fleet.kill(pod);
    },
    vanishPod(id) {
      const pod = fleet.find(id);
      if (!pod || pod.endedAtMs !== null) {
        return false;
      }
      fleet.end(pod, "vanished");
      return true;
    },
  };
}
