import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Programs of a start command that would change this machine. In a pod they do nothing and succeed. */
const STAND_INS = ["apt-get", "dpkg", "service", "ssh-keygen"] as const;
const STAND_IN = `#!/bin/sh\necho "simulator: $(basename "$0") $* does nothing"\n`;

/**
 * Lays out a pod's folder in place of a container's disk and answers the variables that lead a start command to it: home
 * and temporary files are in it, and programs that would change this machine do nothing.
 * @param path the PATH of this process
 */
export async function layOutContainer(folder: string, path = ""): Promise<Record<string, string>> {
  const [programs, temporary] = [join(folder, "bin"), join(folder, "tmp")];
  for (const each of [programs, temporary]) {
    await mkdir(each, { recursive: true });
  }
  for (const name of STAND_INS) {
    await writeFile(join(programs, name), STAND_IN);
    await chmod(join(programs, name), 0o755);
  }
  return { PATH: `${programs}:${path}`, HOME: folder, TMPDIR: temporary };
}
