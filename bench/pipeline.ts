import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFfmpeg, findFfmpeg } from "../src/gpu-worker/video/ffmpeg.ts";
import type { Figure } from "./figure.ts";
import { plainAroundSegments, plainStitch } from "./pipeline/plain.ts";
import { aroundSegments, prepare, stitch } from "./pipeline/travel.ts";

export const description = "Time outside the engine for a travel of 5 × 81 frames, beside plain ffmpeg commands";

const ROUNDS = 3;
const BOUND = 1.5;
const PEER = "plain ffmpeg commands";

/** Ours and the peer take turns; a figure is that of the round with the median ratio. */
export async function run(): Promise<Figure[]> {
  const ffmpeg = createFfmpeg(await findFfmpeg(null), new AbortController().signal);
  const folder = await mkdtemp(join(tmpdir(), "gpu-pool-bench-"));
  try {
    const given = await prepare(ffmpeg, folder);
    const rounds: { around: [number, number]; stitched: [number, number] }[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      process.stderr.write(`  round ${round} of ${ROUNDS} …\n`);
      rounds.push({
        around: [
          await secondsOf(() => aroundSegments(ffmpeg, given, folder)),
          await secondsOf(() => plainAroundSegments(ffmpeg, given, folder)),
        ],
        stitched: [
          await secondsOf(() => stitch(ffmpeg, given, folder)),
          await secondsOf(() => plainStitch(ffmpeg, given, folder)),
        ],
      });
    }
    const whole = rounds.map(({ around, stitched }) => [around[0] + stitched[0], around[1] + stitched[1]] as const);
    return [
      figure("a travel of 5 × 81 frames at 832×480", whole, BOUND),
      figure(
        "guides, masks and thumbnails",
        rounds.map(({ around }) => around),
      ),
      figure(
        "the stitch",
        rounds.map(({ stitched }) => stitched),
      ),
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function secondsOf(work: () => Promise<void>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1_000;
}

function figure(name: string, rounds: readonly (readonly [number, number])[], bound?: number): Figure {
  const sorted = rounds.toSorted((a, b) => a[0] / a[1] - b[0] / b[1]);
  const [value, plain] = sorted[Math.floor(sorted.length / 2)] ?? [Number.NaN, Number.NaN];
  const ratio = value / plain;
  return {
    name,
    value,
    unit: "s",
    peer: { name: PEER, value: plain },
    ratio,
    betterIs: "lower",
    ...(bound !== undefined && { limit: { on: "ratio", bound } as const }),
    ok: bound === undefined || ratio <= bound,
  };
}
