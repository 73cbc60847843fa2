import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { completeEnvironment, type Environment } from "../../../src/client/env-files.ts";
import { holderOf } from "../../../src/dev/data-dir.ts";
import { removeStackEnvFile, writeStackEnvFile } from "../../../src/dev/stack-env-file.ts";
import { processStartTime } from "../../../src/process/process-identity.ts";

const DATA_DIR = ".gpu-pool/dev";
const before = process.cwd();
let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "client-env-"));
  process.chdir(folder);
});

afterEach(async () => {
  process.chdir(before);
  await rm(folder, { recursive: true, force: true });
});

async function complete(env: Environment, options: { envFile?: string; useStack?: boolean } = {}) {
  const said: string[] = [];
  const { envFile, useStack = true } = options;
  await completeEnvironment(env, { envFile, useStack, say: (line) => void said.push(line) });
  return said;
}

async function livingStack(holder = `${process.pid} ${processStartTime(process.pid)}`) {
  await mkdir(DATA_DIR, { recursive: true });
  await writeFile(join(DATA_DIR, "owner"), holder);
  await writeStackEnvFile(DATA_DIR, { SUPABASE_URL: "http://127.0.0.1:54321", TEMPORAL_ADDRESS: "127.0.0.1:7233" });
}

describe("variables from files", () => {
  it("come from .env in the current folder, without replacing those that are set", async () => {
    await writeFile(".env", "SUPABASE_URL=https://a.example\nGPU_POOL=file\n# no\nEMPTY=\n");
    const env: Environment = { GPU_POOL: "shell", SUPABASE_URL: "" };
    expect(await complete(env)).toEqual([]);
    expect(env).toMatchObject({ SUPABASE_URL: "https://a.example", GPU_POOL: "shell" });
  });

  it("come from the named file instead", async () => {
    await writeFile(".env", "GPU_POOL=default");
    await writeFile("other.env", "GPU_POOL=other");
    const env: Environment = {};
    await complete(env, { envFile: "other.env" });
    expect(env["GPU_POOL"]).toBe("other");
  });

  it("cannot come from a named file that does not exist", async () => {
    await expect(complete({}, { envFile: "nowhere.env" })).rejects.toThrow("nowhere.env cannot be read (ENOENT)");
  });

  it("come from the running stack of this folder if no database is configured, and a note says so", async () => {
    await livingStack();
    const env: Environment = {};
    expect(await complete(env)).toEqual([`gpu-pool: using the stack that runs here (${DATA_DIR}/stack.env)`]);
    expect(env).toEqual({ SUPABASE_URL: "http://127.0.0.1:54321", TEMPORAL_ADDRESS: "127.0.0.1:7233" });
  });

  it("never come from the stack if a database is configured, in the shell or in .env", async () => {
    await livingStack();
    await writeFile(".env", "SUPABASE_URL=https://a.example");
    const env: Environment = {};
    expect(await complete(env)).toEqual([]);
    expect(env).toEqual({ SUPABASE_URL: "https://a.example" });
  });

  it("never come from a stack whose process has ended, or whose pid now belongs to another process", async () => {
    await livingStack(`${process.pid} 1`);
    const env: Environment = {};
    expect(await complete(env)).toEqual([]);
    expect(env).toEqual({});
    expect(await holderOf(DATA_DIR)).toBeNull();
  });

  it("never come from a stack for the command that starts one", async () => {
    await livingStack();
    const env: Environment = {};
    await complete(env, { useStack: false });
    expect(env).toEqual({});
  });
});

describe("the file of a stack", () => {
  it("can be read by its owner only, whatever was there before", async () => {
    await livingStack();
    await chmod(join(DATA_DIR, "stack.env"), 0o644);
    await writeStackEnvFile(DATA_DIR, { A: "1" });
    expect((await stat(join(DATA_DIR, "stack.env"))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(DATA_DIR, "stack.env"), "utf8")).toContain("\nA=1\n");
  });

  it("is deleted with the stack", async () => {
    await livingStack();
    await removeStackEnvFile(DATA_DIR);
    expect(await complete({})).toEqual([]);
  });
});
