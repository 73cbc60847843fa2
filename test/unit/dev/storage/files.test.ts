import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openStorageFiles } from "../../../../src/dev/storage/files.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "storage-files-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function filesOnDisk(): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

it("A stored stream can be read byte for byte, whole and in part, with its size and md5", async () => {
  const files = await openStorageFiles(directory);
  const stored = await files.receive(Readable.from([Buffer.from("hello "), Buffer.from("world")]), 11);

  expect(stored).toMatchObject({ sizeBytes: 11, md5Hex: "5eb63bbbe01eeed093cb22bb8f5acdc3" });
  expect((await buffer((await files.open(stored.version, null))!)).toString()).toBe("hello world");
  expect((await buffer((await files.open(stored.version, { start: 4, end: 6 }))!)).toString()).toBe("o w");
});

it("An oversized stream is read to its end, refused with 413, and leaves nothing on disk", async () => {
  const files = await openStorageFiles(directory);
  const source = Readable.from([Buffer.alloc(8), Buffer.alloc(8), Buffer.alloc(8)]);

  await expect(files.receive(source, 10)).rejects.toMatchObject({ status: 413 });
  expect(source.readableEnded).toBe(true);
  expect(await filesOnDisk()).toEqual([]);
});

it("A stream that breaks off leaves nothing on disk", async () => {
  const files = await openStorageFiles(directory);
  const source = Readable.from(
    (async function* () {
      yield Buffer.alloc(8);
      throw new Error("the client went away");
    })(),
  );

  await expect(files.receive(source, 100)).rejects.toThrow("the client went away");
  expect(await filesOnDisk()).toEqual([]);
});

it("A removed version, an unknown one and a path instead of a version are all absent", async () => {
  const files = await openStorageFiles(directory);
  const { version } = await files.receive(Readable.from([Buffer.from("x")]), 10);
  await files.remove(version);

  expect(await files.open(version, null)).toBeNull();
  expect(await files.open("6b1f2d1c-0000-4000-8000-000000000000", null)).toBeNull();
  expect(await files.open("../../../../etc/hostname", null)).toBeNull();
  expect(await filesOnDisk()).toEqual([]);
});
