import { parseOwnSettings } from "../config/settings-in-force.ts";
import { POOL_SETTINGS } from "../contract/pool-settings.ts";

/** A pool's own settings with others in their place that are tried and not stored; null: without it. @throws ConfigError */
export function withTried(
  stored: Readonly<Record<string, unknown>>,
  tried: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  if (Object.keys(tried).length === 0) {
    return stored;
  }
  // What another version stored and this one does not know is no reason to refuse the trial.
  const known = Object.entries(stored).filter(([name]) => POOL_SETTINGS.includes(name));
  const merged = Object.entries({ ...Object.fromEntries(known), ...tried }).filter(([, value]) => value !== null);
  return parseOwnSettings(Object.fromEntries(merged));
}
