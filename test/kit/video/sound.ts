import { execa } from "execa";
import { testFfmpeg } from "./clips.ts";

/** The root of the mean square of a file's sound between two times, 0 to 1. */
export async function loudness(path: string, fromSec: number, toSec: number): Promise<number> {
  const filter = `atrim=start=${fromSec}:end=${toSec}`;
  const args = ["-v", "error", "-i", path, "-map", "0:a:0", "-af", filter, "-ac", "1", "-f", "s16le", "pipe:1"];
  const { stdout } = await execa(testFfmpeg().path, args, { encoding: "buffer", stdin: "ignore" });
  const samples = new Int16Array(stdout.buffer, stdout.byteOffset, Math.floor(stdout.length / 2));
  if (samples.length === 0) {
    throw new Error(`${path} has no sound between ${fromSec} and ${toSec} s`);
  }
  const sum = samples.reduce((total, sample) => total + (sample / 32_768) ** 2, 0);
  return Math.sqrt(sum / samples.length);
}
