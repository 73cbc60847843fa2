import { type FaultInput, faultSchema } from "./faults.ts";
import { buildLedger } from "./ledger.ts";
import { settingsSchema, type SimulatorSettings } from "./settings.ts";
import type { SimulatorState } from "./state.ts";
import type { Ledger, RequestLogEntry } from "./types.ts";

/** What tests and people may see and do behind the provider's back; also served under `/_sim`. */
export type SimulatorControls = {
  ledger(): Ledger;
  /** Requests to the API, oldest first; the last 10,000 of them. */
  requests(): readonly RequestLogEntry[];
  settings(): SimulatorSettings;
  /** Changes some settings and returns all. Throws on values out of range. */
  configure(changes: { readonly [K in keyof SimulatorSettings]?: SimulatorSettings[K] | undefined }): SimulatorSettings;
  /** Scripts what the next matching requests suffer. */
  addFault(fault: FaultInput): void;
  /** kill -9 of the pod's process; false when it has none. */
  killPod(id: string): boolean;
  /** Makes the pod disappear at once, as if somebody else had deleted it; false when it is gone already. */
  vanishPod(id: string): boolean;
};

export function createControls(
  state: SimulatorState,
  requests: readonly RequestLogEntry[],
  change: (settings: SimulatorSettings) => void,
): SimulatorControls {
  const { fleet, faults, settings, now } = state;
  return {
    ledger: () => buildLedger(fleet.all(), now()),
    requests: () => [...requests],
    settings,
    configure(changes) {
      change(settingsSchema.parse({ ...settings(), ...changes }));
      return settings();
    },
    addFault: (fault) => faults.add(faultSchema.parse(fault)),
    killPod(id) {
      const pod = fleet.find(id);
      return pod !== undefined && fleet.kill(pod);
    },
    vanishPod(id) {
      const pod = fleet.find(id);
      if (!pod || pod.endedAtMs !== null) return false;
      fleet.end(pod, "vanished");
      return true;
    },
  };
}
