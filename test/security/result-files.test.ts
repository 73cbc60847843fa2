import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStorageFiles } from "../../src/dev/storage/files.ts";
import { describeFile } from "../../src/gpu-worker/output-files.ts";
import { createLocalFileStore } from "../../src/gpu-worker/queue/local-file-store.ts";
import { createOutages } from "../../src/gpu-worker/queue/outages.ts";
import { createUploads } from "../../src/gpu-worker/queue/uploads.ts";
import { openLocalDatabase } from "../../src/task-file/database.ts";

let folder: string;
let workDir: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gpu-pool-links-"));
  workDir = join(folder, "task");
  mkdirSync(workDir);
  writeFileSync(join(folder, "secret"), "a secret");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const LEASE = { taskId: "t", leaseToken: "l" };
function own(name: string) {
  const path = join(workDir, name);
  writeFileSync(path, "the result");
  return path;
}

/** Storage that keeps what it is sent. `before` runs when the first byte has not been read yet. */
function storage(before: () => void) {
  const sent: string[] = [];
  const bucket = {
    getPublicUrl: (path: string) => ({ data: { publicUrl: path } }),
    async uploadToSignedUrl(_path: string, _token: string, body: Blob) {
      before();
      sent.push(await body.text());
      return { data: {}, error: null };
    },
  };
  const client = { storage: { from: () => bucket }, functions: {} };
  return { sent, uploads: createUploads(client as never, "videos", createOutages(pino({ level: "silent" }))) };
}

describe("a result that is a link", () => {
  it("is not described, so that nothing reads it: a link, a second name, a folder that leads elsewhere", async () => {
    symlinkSync(join(folder, "secret"), join(workDir, "link.mp4"));
    linkSync(join(folder, "secret"), join(workDir, "name.mp4"));
    symlinkSync(folder, join(workDir, "folder"));
    for (const name of ["link.mp4", "name.mp4", "folder/secret", "folder", "../secret"]) {
      await expect(describeFile(join(workDir, name), workDir)).rejects.toThrow(/link|no file|does not lie/);
    }
    expect(await describeFile(own("out.mp4"), workDir)).toMatchObject({ filename: "out.mp4", sizeBytes: 10 });
  });

  it("is not stored where it took the place of the file that was looked at", async () => {
    const database = openLocalDatabase(join(folder, "tasks.db"));
    for (const lead of [symlinkSync, linkSync]) {
      const path = own(`${lead.name}.mp4`);
      const file = await describeFile(path, workDir);
      rmSync(path);
      lead(join(folder, "secret"), path);
      const { sent, uploads } = storage(() => undefined);
      await expect(uploads.put(file, { storagePath: "t/out.mp4", token: "x" })).rejects.toThrow(/link/);
      expect(sent).toEqual([]);
      await expect(createLocalFileStore(database).deliver(LEASE, [file], new AbortController().signal)).rejects.toThrow(
        /link/,
      );
      expect(existsSync(join(folder, "public", "files", file.filename))).toBe(false);
    }
    database.close();
  });

  it.runIf(process.platform === "linux")("changes nothing while its file is sent", async () => {
    const path = own("out.mp4");
    const file = await describeFile(path, workDir);
    const { sent, uploads } = storage(() => {
      renameSync(path, `${path}.old`);
      symlinkSync(join(folder, "secret"), path);
    });
    await uploads.put(file, { storagePath: "t/out.mp4", token: "x" });
    expect(sent).toEqual(["the result"]);
  });
});

it("the files of storage are readable by their owner alone", async () => {
  const directory = join(folder, "storage");
  const { version } = await (await openStorageFiles(directory)).receive(Readable.from(["private"]), 100);
  const modeOf = (path: string) => statSync(path).mode & 0o777;
  const place = join(directory, "objects", version.slice(0, 2));
  expect([directory, place, join(place, version)].map(modeOf)).toEqual([0o700, 0o700, 0o600]);
});
