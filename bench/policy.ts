import { type Bounds, boundsOf } from "../src/backtest/bounds.ts";
import type { Arrival } from "../src/backtest/arrivals.ts";
import { generate, LOAD } from "../src/backtest/generate.ts";
import type { Outcome } from "../src/backtest/outcome.ts";
import { simulate } from "../src/backtest/simulate.ts";
import { sizingOf } from "../src/backtest/sizing.ts";
import type { Circumstances, Sizing } from "../src/backtest/world.ts";
import { loadConfig } from "../src/config/config.ts";
import { settingsInForce } from "../src/config/settings-in-force.ts";
import { withSettings } from "../src/config/set-settings.ts";
import type { Figure } from "./figure.ts";
import { createPeers } from "./policy/peers.ts";

export const description = "What the policy latency costs and how long tasks wait, beside other rules, in virtual time";

const BOOT_SEC = 120;
/** Neither MIN nor MAX nor the pace of launches decides: the rules do. */
const FREE = { MIN_ACTIVE_GPUS: "0", MAX_ACTIVE_GPUS: "10000", MAX_LAUNCHES_PER_MINUTE: "10000" };
const WAIT_VALUES = [1, 2, 3, 10];
const TARGETS_SEC = [60, 90, 180];

interface Raced {
  readonly name: string;
  readonly outcome: Outcome;
}

/** All rules live through the same tasks: those of the generator with seed 13. */
export async function run(): Promise<Figure[]> {
  const arrivals = generate(LOAD);
  const bounds = boundsOf(arrivals, BOOT_SEC);
  const workload = raceSettings(arrivals, { SCALING_POLICY: "workload" });
  const valued = WAIT_VALUES.map((waitValue) => ({
    waitValue,
    ...raceSettings(arrivals, { SCALING_POLICY: "latency", WAIT_VALUE: String(waitValue) }),
  }));
  const atTwo = valued.find(({ waitValue }) => waitValue === 2) ?? workload;
  const targets = TARGETS_SEC.map((targetSec) => ({
    targetSec,
    ...raceSettings(arrivals, { SCALING_POLICY: "latency", TARGET_WAIT_SEC: String(targetSec) }),
  }));
  const threshold = raceSettings(arrivals, { SCALING_POLICY: "threshold" });
  const peers = createPeers(BOOT_SEC).map(({ name, claims, sizing }) => race(arrivals, name, sizing, claims));
  return [
    costFigure(atTwo, bounds, 1.12),
    meanWaitFigure(atTwo, { name: "a boot", value: BOOT_SEC }, 35),
    ...valued.map((each) => togetherFigure(each, each.waitValue, workload, 0.97)),
    ...targets.map(targetFigure),
    ...[...targets, workload, threshold, ...peers].flatMap((each) => [
      costFigure(each, bounds),
      meanWaitFigure(each, { name: atTwo.name, value: atTwo.outcome.waitSec.mean }),
    ]),
    ...peers.map((each) => togetherFigure(atTwo, 2, each)),
  ];
}

function raceSettings(arrivals: readonly Arrival[], set: Readonly<Record<string, string>>): Raced {
  const defaults = settingsInForce(loadConfig({}, { need: [] }), {}, {});
  const { SCALING_POLICY: policy, ...others } = set;
  const name = [policy, ...Object.entries(others).map(([variable, value]) => `${variable} ${value}`)].join(", ");
  return race(arrivals, name, sizingOf(withSettings(defaults, { ...FREE, ...set })), "as_polled");
}

function race(arrivals: readonly Arrival[], name: string, sizing: Sizing, claims: Circumstances["claims"]): Raced {
  const circumstances = { bootSec: BOOT_SEC, bootSigma: 0, seed: 1, watchIntervalMs: 500, claims, priceUsd: null };
  process.stderr.write(`  ${name} …\n`);
  return { name, outcome: simulate(sizing, arrivals, circumstances) };
}

function costFigure({ name, outcome }: Raced, { noWaitSec }: Bounds, bound?: number): Figure {
  const ratio = outcome.gpuSec / noWaitSec;
  return {
    name: `${name}: cost (p95 wait ${Math.round(outcome.waitSec.p95)} s)`,
    value: outcome.gpuSec / 3600,
    unit: "GPU h",
    peer: { name: "least without any wait", value: noWaitSec / 3600 },
    ratio,
    betterIs: "lower",
    ...(bound !== undefined && { limit: { on: "ratio", bound } as const }),
    ok: bound === undefined || ratio <= bound,
  };
}

function meanWaitFigure({ name, outcome }: Raced, peer: Figure["peer"], bound?: number): Figure {
  const { mean: value } = outcome.waitSec;
  return {
    name: `${name}: mean wait`,
    value,
    unit: "s",
    peer,
    ratio: value / peer.value,
    betterIs: "lower",
    ...(bound !== undefined && { limit: { on: "value", bound } as const }),
    ok: bound === undefined || value <= bound,
  };
}

/** Cost of GPUs and waiting together, if a second of waiting is worth `waitValue` seconds of a GPU. */
function togetherFigure(ours: Raced, waitValue: number, other: Raced, bound?: number): Figure {
  const [value, theirs] = [ours, other].map(({ outcome: { gpuSec, waitSec, tasks } }) => {
    return (gpuSec + waitValue * waitSec.mean * tasks) / 3600;
  }) as [number, number];
  return {
    name: `${ours.name}: cost + ${waitValue} × waiting`,
    value,
    unit: "GPU h",
    peer: { name: other.name, value: theirs },
    ratio: value / theirs,
    betterIs: "lower",
    ...(bound !== undefined && { limit: { on: "ratio", bound } as const }),
    ok: bound === undefined || value / theirs <= bound,
  };
}

function targetFigure({ name, outcome, targetSec }: Raced & { readonly targetSec: number }): Figure {
  const { p95 } = outcome.waitSec;
  const off = Math.abs(p95 - targetSec);
  return {
    name: `${name}: p95 of ${Math.round(p95)} s, off by`,
    value: off,
    unit: "s",
    peer: { name: "target", value: targetSec },
    ratio: off / targetSec,
    betterIs: "lower",
    limit: { on: "ratio", bound: 0.1 },
    ok: off <= 0.1 * targetSec,
  };
}
