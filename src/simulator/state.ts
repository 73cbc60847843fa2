import type { Faults } from "./faults.ts";
import type { Fleet } from "./fleet.ts";
import type { SimulatorSettings } from "./settings.ts";

/** What the routes of one simulator share. */
export interface SimulatorState {
  readonly fleet: Fleet;
  readonly faults: Faults;
  readonly settings: () => SimulatorSettings;
  readonly now: () => number;
  readonly dataDir: string;
  readonly apiKey: string;
  /** Aborted when the simulator closes. */
  readonly closing: AbortSignal;
}
