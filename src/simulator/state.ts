import type { Volumes } from "./account/volumes.ts";
import type { Faults } from "./faults.ts";
import type { Fleet } from "./fleet.ts";
import type { Market } from "./market/market.ts";
import type { SimulatorSettings } from "./settings.ts";
import type { SimulatedRegistry } from "./types.ts";

/** Shared by the routes of one simulator. */
export interface SimulatorState {
  readonly fleet: Fleet;
  readonly faults: Faults;
  readonly market: Market;
  readonly volumes: Volumes;
  /** By id. */
  readonly registries: Map<string, SimulatedRegistry>;
  readonly settings: () => SimulatorSettings;
  readonly now: () => number;
  readonly dataDir: string;
  readonly apiKey: string;
  /** Aborts when the simulator closes. */
  readonly closing: AbortSignal;
}
