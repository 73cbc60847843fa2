import { execa } from "execa";

/** GPU memory in MiB, summed over the machine's GPUs; null where it is unknown. */
export interface Vram {
  readonly totalMb: number | null;
  readonly usedMb: number | null;
}

const UNKNOWN: Vram = { totalMb: null, usedMb: null };
const TIMEOUT_MS = 5_000;

/** Returns a function that reads GPU memory. Where nvidia-smi is missing, it is tried once only. */
export function createVramReader(command = "nvidia-smi"): () => Promise<Vram> {
  let present = true;
  return async () => {
    if (!present) {
      return UNKNOWN;
    }
    const asked = await execa(command, ["--query-gpu=memory.total,memory.used", "--format=csv,noheader,nounits"], {
      timeout: TIMEOUT_MS,
      reject: false,
    });
    present = asked.code !== "ENOENT";
    return asked.failed ? UNKNOWN : parseVram(asked.stdout);
  };
}

/** Sums lines of `total, used`. One line that is not two numbers makes both sums unknown. */
export function parseVram(csv: string): Vram {
  const rows = csv
    .trim()
    .split("\n")
    .map((line) => /^\s*(\d+)\s*,\s*(\d+)\s*$/.exec(line));
  let totalMb = 0;
  let usedMb = 0;
  for (const row of rows) {
    if (row === null) {
      return UNKNOWN;
    }
    totalMb += Number(row[1]);
    usedMb += Number(row[2]);
  }
  return { totalMb, usedMb };
}
