import { createHash } from "node:crypto";
import { access, chown, cp, mkdir, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

interface Place {
  readonly dataDir: string;
  readonly binaries: Binaries;
  /** The user that Postgres runs as; null: the user of this process. */
  readonly owner: Owner | null;
}

/**
 * Postgres refuses to run as root. Under root it therefore runs as another user, which must be able to reach its data
 * and its programs. If a folder above them is closed to that user, as root's home is, they move to the temp folder.
 */
export async function chooseOwner(wantedDir: string, packaged: Binaries): Promise<Place> {
  await mkdir(wantedDir, { recursive: true });
  if (process.getuid?.() !== 0) {
    return { dataDir: wantedDir, binaries: packaged, owner: null };
  }
  const nobody = await unprivileged();
  const dataDir = (await mayReach(wantedDir, nobody)) ? wantedDir : await openPlace("data", wantedDir);
  const binaries = (await mayReach(packaged.postgres, nobody)) ? packaged : await copyBinaries(packaged);
  // An existing cluster keeps its owner.
  const existing = await stat(dataDir);
  const owner = existing.uid === 0 ? nobody : { uid: existing.uid, gid: existing.gid };
  await chown(dataDir, owner.uid, owner.gid);
  return { dataDir, binaries, owner };
}

async function unprivileged(): Promise<Owner> {
  for (const user of ["postgres", "nobody"]) {
    const ids = await Promise.all([execa("id", ["-u", user]), execa("id", ["-g", user])]).catch(() => null);
    if (ids !== null) {
      return { uid: Number(ids[0].stdout), gid: Number(ids[1].stdout) };
    }
  }
  throw new Error("Postgres cannot run as root, and there is neither a user postgres nor a user nobody to run it as");
}

async function mayReach(path: string, { uid }: Owner): Promise<boolean> {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const { mode, uid: owner } = await stat(folder);
    if (owner !== uid && (mode & 0o001) === 0) {
      return false;
    }
  }
  return true;
}

/** The folder that replaces `path`, always the same one for the same path. @throws Error when another user made it. */
async function openPlace(kind: string, path: string): Promise<string> {
  const name = createHash("sha256").update(path).digest("hex").slice(0, 16);
  const parent = join(tmpdir(), "gpu-pool-root");
  await mkdir(parent, { recursive: true, mode: 0o755 });
  const { uid, mode } = await stat(parent);
  if (uid !== 0 || (mode & 0o022) !== 0) {
    throw new Error(
      `users other than root may write to ${parent}: delete it, or use a folder that user postgres or nobody may enter`,
    );
  }
  const place = join(parent, `${kind}-${name}`);
  await mkdir(place, { recursive: true, mode: 0o755 });
  return place;
}

async function copyBinaries({ initdb, postgres }: Binaries): Promise<Binaries> {
  const native = dirname(dirname(postgres));
  const place = await openPlace("programs", native);
  const copy = join(place, "native");
  const exists = await access(copy).then(
    () => true,
    () => false,
  );
  if (!exists) {
    const draft = join(place, `draft-${process.pid}`);
    await cp(native, draft, { recursive: true, verbatimSymlinks: true });
    // If another process was faster, its copy is used.
    await rename(draft, copy).catch(() => rm(draft, { recursive: true, force: true }));
  }
  return { initdb: join(copy, "bin", initdb.slice(dirname(initdb).length + 1)), postgres: join(copy, "bin/postgres") };
}
