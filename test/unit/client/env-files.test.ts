import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { completeEnvironment, type Environment } from "../../../src/client/env-files.ts";
import { ClientError, EXIT } from "../../../src/client/errors.ts";

const STACK = { SUPABASE_URL: "http://127.0.0.1:1", SUPABASE_SERVICE_ROLE_KEY: "secret-b", TEMPORAL_ADDRESS: "b:7233" };

let folder = "";
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), "env-files-"))));
afterAll(async () => await rm(folder, { recursive: true, force: true }));

async function complete(env: Environment, file: Record<string, string>): Promise<Environment> {
  await writeFile(
    join(folder, "chosen.env"),
    Object.entries(file)
      .map(([name, value]) => `${name}=${value}`)
      .join("\n"),
  );
  await completeEnvironment(env, { cwd: folder, envFile: "chosen.env", useStack: true, say: () => undefined });
  return env;
}

describe("an environment that a file completes", () => {
  it("keeps what is set, and takes what is missing or empty", async () => {
    const env = { MAX_ACTIVE_GPUS: "10", GPU_POOL: "", TEMPORAL_ADDRESS: "b:7233" };
    expect(await complete(env, { ...STACK, MAX_ACTIVE_GPUS: "4", GPU_POOL: "night" })).toEqual({
      ...STACK,
      MAX_ACTIVE_GPUS: "10",
      GPU_POOL: "night",
    });
  });

  it("is refused when it would speak with the services of two installations, and names them without a secret", async () => {
    const mix = complete({ TEMPORAL_ADDRESS: "a:7233" }, STACK);
    await expect(mix).rejects.toMatchObject({ exitCode: EXIT.usage });
    await expect(mix).rejects.toThrow(/^TEMPORAL_ADDRESS: one value in the environment, another in chosen\.env/);

    const keys = complete({ ...STACK, TEMPORAL_ADDRESS: "", SUPABASE_SERVICE_ROLE_KEY: "secret-a" }, STACK);
    const error = await keys.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ClientError);
    expect(String(error)).toContain("SUPABASE_SERVICE_ROLE_KEY");
    expect(String(error)).not.toContain("secret-");
  });

  it("may come wholly from the environment, whatever the file says", async () => {
    const whole = { SUPABASE_URL: "http://a", SUPABASE_SERVICE_ROLE_KEY: "secret-a", TEMPORAL_ADDRESS: "a:7233" };
    expect(await complete({ ...whole }, STACK)).toEqual(whole);
  });

  it("takes a provider's address that somebody has chosen before the default of a copied example", async () => {
    const simulator = { RUNPOD_API_URL: "http://127.0.0.1:2/v2", RUNPOD_API_KEY: "simulated" };
    expect(await complete({ RUNPOD_API_URL: "https://api.runpod.io/v2" }, simulator)).toEqual(simulator);
  });

  it("may name secrets' files: what is set wins, and two services are told apart by what the files hold", async () => {
    await writeFile(join(folder, "key"), "secret-b\n");
    const { SUPABASE_SERVICE_ROLE_KEY, ...rest } = STACK;
    const named = { ...rest, SUPABASE_SERVICE_ROLE_KEY_FILE: join(folder, "key") };
    expect(await complete({}, named)).toEqual(STACK);
    expect(await complete({ SUPABASE_SERVICE_ROLE_KEY }, named)).toEqual(STACK);
    expect(await complete({ ...named }, STACK)).toEqual(STACK);
    const keys = complete({ SUPABASE_SERVICE_ROLE_KEY: "secret-a" }, named);
    await expect(keys).rejects.toThrow(/^SUPABASE_SERVICE_ROLE_KEY: one value in the environment/);
    const none = complete({}, { ...named, SUPABASE_SERVICE_ROLE_KEY_FILE: join(folder, "none") });
    await expect(none).rejects.toThrow(/SUPABASE_SERVICE_ROLE_KEY_FILE=\S+none: there is no such file/);
  });
});
