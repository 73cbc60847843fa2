import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Guardian, processStartTime } from "./guardian.ts";

/**
 * Takes a data directory for this process. One that a living process holds is left to it, and a fresh one beside it,
 * deleted at the end, is used instead.
 */
export async function claimDataDir(guardian: Guardian, wanted: string): Promise<string> {
  const dir = resolve(wanted);
  await mkdir(dir, { recursive: true });
  if (await takeLock(join(dir, "owner"))) {
    return dir;
  }
  const spare = `${dir}-${process.pid}-${randomBytes(3).toString("hex")}`;
  await guardian.removeAtEnd(spare);
  await mkdir(spare, { recursive: true });
  return spare;
}

async function takeLock(file: string): Promise<boolean> {
  const mine = `${process.pid} ${processStartTime(process.pid) ?? ""}`;
  try {
    const handle = await open(file, "wx");
    await handle.writeFile(mine);
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      throw error;
    }
  }
  const [pid, ...startTime] = (await readFile(file, "utf8")).split(" ");
  if (processStartTime(Number(pid)) === startTime.join(" ")) {
    return false;
  }
  await rm(file, { force: true });
  await writeFile(file, mine);
  return true;
}

/** Secrets of one data directory, made fresh on its first use and readable by its owner only. */
export async function readOrMakeSecrets<T>(dir: string, make: () => Promise<T>): Promise<T> {
  const file = join(dir, "secrets.json");
  try {
    return JSON.parse(await readFile(file, "utf8")) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      throw new Error(`${file} cannot be read: delete it, or the whole directory, to start afresh`, { cause: error });
    }
  }
  const made = await make();
  await writeFile(file, JSON.stringify(made, null, 2), { mode: 0o600 });
  return made;
}
