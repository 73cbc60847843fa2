import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bootstrapDatabase } from "../../../src/client/commands/check/db-bootstrap.ts";
import { makeSecrets } from "../../../src/client/commands/stack/gateway-secrets.ts";
import type { Context } from "../../../src/client/context.ts";
import { createOutput } from "../../../src/client/render/output.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gateway-secrets-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function make(): Promise<string> {
  const lines: string[] = [];
  const stream = { write: (text: string) => lines.push(text) };
  const context = { output: createOutput({ stdout: stream, stderr: stream }, {}) } as unknown as Context;
  await makeSecrets(context, folder, { database: "database:5432/gpu_pool" });
  return lines.join("");
}
function read(name: string): Promise<string> {
  return readFile(join(folder, name), "utf8");
}
async function roleIn(name: string): Promise<unknown> {
  const secret = new TextEncoder().encode(await read("supabase_jwt_secret"));
  return (await jwtVerify(await read(name), secret)).payload["role"];
}

describe("the secrets of a project of one's own", () => {
  it("fit one another, and lie in a folder that nobody else may enter", async () => {
    await chmod(folder, 0o755);
    const said = await make();
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect(await roleIn("supabase_anon_key")).toBe("anon");
    expect(await roleIn("supabase_service_role_key")).toBe("service_role");
    const superuser = new URL(await read("supabase_db_url"));
    expect(superuser).toMatchObject({ username: "postgres", password: await read("database_password") });
    expect(new URL(await read("gateway_db_url"))).toMatchObject({ username: "authenticator", host: "database:5432" });
    for (const name of await readdir(folder)) {
      expect(said).toContain(`made ${name}`);
      expect(said).not.toContain(await read(name));
    }
  });

  it("are kept by a second run, which makes what is missing fit to them", async () => {
    await make();
    const before = await read("supabase_service_role_key");
    await chmod(folder, 0o755);
    await rm(join(folder, "supabase_anon_key"));
    const said = await make();
    expect(said).toContain("made supabase_anon_key");
    expect(said).toContain("kept supabase_jwt_secret");
    expect(await read("supabase_service_role_key")).toBe(before);
    expect(await roleIn("supabase_anon_key")).toBe("anon");
  });

  it("take no folder of other files away from those that may enter it", async () => {
    await chmod(folder, 0o755);
    await writeFile(join(folder, "page.html"), "");
    await expect(make()).rejects.toThrow("holds other files (page.html), and other users may enter it");
    expect((await stat(folder)).mode & 0o777).toBe(0o755);
    await chmod(folder, 0o700);
    expect(await make()).toContain("made supabase_jwt_secret");
  });

  it("are not made around an empty file", async () => {
    await writeFile(join(folder, "supabase_jwt_secret"), "\n");
    await expect(make()).rejects.toThrow("supabase_jwt_secret is empty");
  });
});

describe("gpu-pool db bootstrap", () => {
  it.each(["postgresql://authenticator:100%@h/d", "postgresql://authenticator@h/d", "authenticator:p@h"])(
    "refuses a login that holds no password to set: %s",
    async (url) => {
      const context = { env: { GATEWAY_DB_URL: url } } as unknown as Context;
      const refused = await bootstrapDatabase(context, {}).catch((error: unknown) => error);
      expect(refused).toMatchObject({
        name: "ConfigError",
        message: expect.stringContaining("GATEWAY_DB_URL holds no password of the role authenticator"),
      });
      expect((refused as Error).message).not.toContain("100%");
    },
  );
});
