import { chmod, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { pino } from "pino";
import { startStack } from "../src/dev/stack.ts";
import type { Figure } from "./figure.ts";
import { processorSec } from "./startup/processor-sec.ts";

export const description =
  "Processor time of a command from its start to its end, beside that of node without a program";

const ROUNDS = 11;
const PEER = "node -e 0";
const ROOT = fileURLToPath(new URL("..", import.meta.url));

interface Contender {
  readonly name: string;
  readonly args: readonly string[];
  readonly bound?: number;
}

/** Contenders take turns, round by round; a figure is the median of all rounds. */
export async function run(): Promise<Figure[]> {
  process.stderr.write("  building …\n");
  await execa("tsx", ["scripts/build.ts"], { cwd: ROOT, preferLocal: true });
  const dataDir = await mkdtemp(join(tmpdir(), "gpu-pool-bench-"));
  // Postgres does not run as root, and its own user must be able to enter this folder.
  await chmod(dataDir, 0o711);
  const stack = await startStack({ dataDir, logger: pino({ level: "error" }, process.stderr), fresh: true });
  await stack.guardian.removeAtEnd(dataDir);
  try {
    const env = { ...stack.env, MIN_ACTIVE_GPUS: "0", LOG_LEVEL: "error" };
    stack.startTemporalWorker(env);
    const built = join(ROOT, "dist/src/client/main.js");
    await execa(process.execPath, [built, "pool", "start", "--yes"], { env });
    return await race(
      [
        { name: PEER, args: ["-e", "0"] },
        { name: "built --help", args: [built, "--help"], bound: 2.5 },
        { name: "built completion bash", args: [built, "completion", "bash"] },
        { name: "built status", args: [built, "status"], bound: 8 },
        { name: "built tasks", args: [built, "tasks"] },
        { name: "--help in a clone", args: [join(ROOT, "bin/gpu-pool.js"), "--help"] },
        { name: "status in a clone", args: [join(ROOT, "bin/gpu-pool.js"), "status"] },
      ],
      env,
    );
  } finally {
    await stack.close();
  }
}

async function race(contenders: readonly Contender[], env: Readonly<Record<string, string>>): Promise<Figure[]> {
  const seconds = contenders.map((): number[] => []);
  for (let round = 0; round <= ROUNDS; round += 1) {
    process.stderr.write(`  round ${round} of ${ROUNDS} …\n`);
    for (const [index, { args }] of contenders.entries()) {
      const sec = await processorSec(args, env);
      // Round 0 fills the caches of the file system.
      if (round > 0) {
        seconds[index]?.push(sec);
      }
    }
  }
  const [peer = Number.NaN, ...medians] = seconds.map(median);
  return medians.map((value, index): Figure => {
    const { name = "", bound } = contenders[index + 1] ?? {};
    return {
      name,
      value,
      unit: "s",
      peer: { name: PEER, value: peer },
      ratio: value / peer,
      betterIs: "lower",
      ...(bound !== undefined && { limit: { on: "ratio", bound } as const }),
      ok: bound === undefined || value / peer <= bound,
    };
  });
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
