import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Guardian } from "../process/guardian.ts";
import { processStartTime } from "../process/process-identity.ts";

/** Under root, Postgres runs as another user, which has to pass through the folder. */
const FOLDER_MODE = process.getuid?.() === 0 ? 0o711 : 0o700;

/**
 * Takes a data directory for this process. If a living process holds it, a new directory beside it is used instead
 * and deleted at the end.
 */
export async function claimDataDir(guardian: Guardian, wanted: string): Promise<string> {
  const dir = resolve(wanted);
  await mkdir(dir, { recursive: true, mode: FOLDER_MODE });
  if (await takeLock(dir)) {
    return dir;
  }
  const spare = `${dir}-${process.pid}-${randomBytes(3).toString("hex")}`;
  await guardian.removeAtEnd(spare);
  await mkdir(spare, { recursive: true, mode: FOLDER_MODE });
  return spare;
}

/** The pid of the living process that holds a data directory; null when there is none. */
export async function holderOf(dataDir: string): Promise<number | null> {
  const owner = await readFile(ownerFile(dataDir), "utf8").catch(() => "");
  const [pid = "", ...startTime] = owner.trim().split(" ");
  return pid !== "" && processStartTime(Number(pid)) === startTime.join(" ") ? Number(pid) : null;
}

function ownerFile(dataDir: string): string {
  return join(dataDir, "owner");
}

async function takeLock(dataDir: string): Promise<boolean> {
  const file = ownerFile(dataDir);
  const mine = `${process.pid} ${processStartTime(process.pid) ?? ""}`;
  try {
    await writeFile(file, mine, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      throw error;
    }
  }
  if ((await holderOf(dataDir)) !== null) {
    return false;
  }
  await writeFile(file, mine, { mode: 0o600 });
  return true;
}

/**
 * Secrets of one data directory, readable by its owner only. `make` completes the secrets that are found: it makes all
 * on the first use, and later those that an older version did not have.
 */
export async function readOrMakeSecrets<T>(dir: string, make: (found: Partial<T>) => Promise<T>): Promise<T> {
  const file = join(dir, "secrets.json");
  let found: Partial<T> = {};
  try {
    found = JSON.parse(await readFile(file, "utf8")) as Partial<T>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      throw new Error(`${file} cannot be read: delete it, or the whole directory, to start again without data`, {
        cause: error,
      });
    }
  }
  const made = await make(found);
  if (JSON.stringify(made) !== JSON.stringify(found)) {
    // Replaced in one step: with a lost secret nobody can open the data beside it.
    await writeFile(`${file}.new`, JSON.stringify(made, null, 2), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
  return made;
}
