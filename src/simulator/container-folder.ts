import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Programs of a start command that would change this machine. In a pod they do nothing and succeed. */
const STAND_INS = ["apt-get", "dpkg", "service", "ssh-keygen"] as const;
/** What the driver of a GPU shows: its name and memory, or its memory and how much of it is used. */
const GPU_STAND_IN = `#!/bin/sh
case "$*" in
  *memory.used*) echo "24564, 0" ;;
  *) echo "Simulated GPU, 24564 MiB" ;;
esac
`;
const STAND_IN = `#!/bin/sh\necho "simulator: $(basename "$0") $* does nothing"\n`;

/**
 * Lays out a pod's folder in place of a container's disk and answers the variables that lead a start command to it: home
 * and temporary files are in it, programs that would change this machine do nothing,
 * and nvidia-smi shows a GPU.
 * @param path the PATH of this process
 */
export async function layOutContainer(folder: string, path = ""): Promise<Record<string, string>> {
  const [programs, temporary] = [join(folder, "bin"), join(folder, "tmp")];
  for (const each of [programs, temporary]) {
    await mkdir(each, { recursive: true });
  }
  const standIns = [...STAND_INS.map((name) => [name, STAND_IN] as const), ["nvidia-smi", GPU_STAND_IN] as const];
  for (const [name, text] of standIns) {
    await writeFile(join(programs, name), text);
    await chmod(join(programs, name), 0o755);
  }
  return { PATH: `${programs}:${path}`, HOME: folder, TMPDIR: temporary };
}
