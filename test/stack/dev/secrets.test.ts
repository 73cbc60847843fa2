import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readOrMakeSecrets } from "../../../src/dev/data-dir.ts";
import { type Keys, makeKeys } from "../../../src/dev/gateway/auth.ts";

describe("the secrets of a data directory", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "gpu-pool-secrets-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));
  const read = () => readOrMakeSecrets<{ keys: Keys }>(dir, async ({ keys }) => ({ keys: await makeKeys(keys) }));

  it("are made once, readable by their owner only", async () => {
    const made = await read();
    expect(made.keys).toMatchObject({
      publishableKey: expect.stringMatching(/^sb_publishable_[\w-]{40,}$/),
      secretKey: expect.stringMatching(/^sb_secret_[\w-]{40,}$/),
    });
    expect(await read()).toEqual(made);
    expect((await stat(join(dir, "secrets.json"))).mode & 0o777).toBe(0o600);
  });

  it("of an older version are kept, and those that it lacked are added once", async () => {
    const { publishableKey: _public, secretKey: _secret, ...older } = await makeKeys();
    await writeFile(join(dir, "secrets.json"), JSON.stringify({ keys: older }), { mode: 0o600 });
    const filled = await read();
    expect(filled.keys).toMatchObject(older);
    expect(filled.keys.secretKey).toMatch(/^sb_secret_/);
    expect(await read()).toEqual(filled);
    expect((await stat(join(dir, "secrets.json"))).mode & 0o777).toBe(0o600);
  });

  it("are not overwritten when they cannot be read", async () => {
    await writeFile(join(dir, "secrets.json"), '{"keys":');
    await expect(read()).rejects.toThrow(/secrets\.json cannot be read: delete it/);
    expect(await readFile(join(dir, "secrets.json"), "utf8")).toBe('{"keys":');
  });
});
