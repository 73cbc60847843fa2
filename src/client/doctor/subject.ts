import type { Config } from "../../config/config.ts";
import type { PoolSettings } from "../../contract/pool-settings.ts";
import type { RunpodClient } from "../../runpod/client.ts";
import type { Database } from "../../supabase/client.ts";
import type { Context } from "../context.ts";

/** What the checks are about. */
export interface Subject {
  readonly context: Context;
  readonly config: Config;
  readonly database: Database;
  readonly runpod: RunpodClient;
  readonly pool: string;
  /** In force for the pool: its row's where it has one, else those of this environment. */
  readonly settings: PoolSettings;
  /** Whether the settings come from the pool's row. */
  readonly isStored: boolean;
}
