import { stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../../src/dev/servers/free-port.ts";
import { type GatewayStack, startGatewayStack } from "../../kit/gateway.ts";
import { launchClient, runClient } from "../../kit/client.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack("");
});
afterAll(() => stack?.close());

function settings(more: Record<string, string> = {}): Record<string, string> {
  const { keys } = stack;
  return {
    SUPABASE_URL: "https://gpu.example.com",
    SUPABASE_JWT_SECRET: keys.jwtSecret,
    SUPABASE_ANON_KEY: keys.anonKey,
    SUPABASE_SERVICE_ROLE_KEY: keys.serviceRoleKey,
    GATEWAY_DB_URL: stack.authenticatorUrl,
    GATEWAY_POSTGREST_URL: stack.postgrestUrl,
    GATEWAY_STORAGE_DIR: join(stack.storageDir, "own"),
    ...more,
  };
}
function run(args: readonly string[], env: Record<string, string>) {
  return runClient(args, { cwd: tmpdir(), env });
}

describe("gpu-pool gateway", () => {
  it("serves a project from a process of its own, as the role authenticator, until SIGTERM", async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const env = settings({ GATEWAY_PORT: String(port) });
    const gateway = launchClient(["gateway"], { cwd: tmpdir(), env });
    try {
      await expect
        .poll(() =>
          fetch(`${url}/healthz`).then(
            (answer) => answer.status,
            () => 0,
          ),
        )
        .toBe(200);
      const service = { apikey: stack.keys.serviceRoleKey };
      const put = await fetch(`${url}/storage/v1/object/videos/a.txt`, { method: "POST", headers: service, body: "a" });
      expect(put.status).toBe(200);
      expect(await (await fetch(`${url}/storage/v1/object/public/videos/a.txt`)).text()).toBe("a");
      expect((await fetch(`${url}/rest/v1/`, { headers: service })).status).toBe(200);
      expect((await fetch(`${url}/rest/v1/`, { headers: { apikey: "another" } })).status).toBe(401);
      expect((await stat(env["GATEWAY_STORAGE_DIR"]!)).mode & 0o777).toBe(0o700);
    } finally {
      gateway.kill("SIGTERM");
    }
    const { exitCode, stdout } = await gateway;
    expect(exitCode).toBe(0);
    expect(stdout).toContain('"msg":"stopped"');
    expect(stdout).not.toContain(stack.keys.serviceRoleKey);
  });

  it("names all that is missing", async () => {
    const { exitCode, stderr } = await run(["gateway"], settings({ GATEWAY_DB_URL: "", GATEWAY_STORAGE_DIR: "" }));
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/GATEWAY_DB_URL is not set[\s\S]*GATEWAY_STORAGE_DIR is not set/);
  });

  it("refuses keys that its secret did not sign, or of the other role", async () => {
    const { anonKey, serviceRoleKey } = stack.keys;
    const swapped = settings({ SUPABASE_ANON_KEY: serviceRoleKey, SUPABASE_SERVICE_ROLE_KEY: anonKey });
    for (const env of [swapped, settings({ SUPABASE_JWT_SECRET: "x".repeat(32) })]) {
      const { exitCode, stderr } = await run(["gateway"], env);
      expect(exitCode).toBe(2);
      expect(stderr).toMatch(/SUPABASE_ANON_KEY is no key of role anon[\s\S]*SUPABASE_SERVICE_ROLE_KEY is no key/);
      expect(stderr).not.toContain(anonKey);
    }
  });

  it("says which port is taken, which host is not this machine's, and which database does not answer or refuses the login", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    const taken = await run(["gateway"], settings({ GATEWAY_PORT: String(port) }));
    server.close();
    expect(taken).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(`port ${port} of 127.0.0.1`) });
    const nowhere = await run(["gateway"], settings({ GATEWAY_HOST: "no-such-host.invalid" }));
    expect(nowhere).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("GATEWAY_HOST=no-such-host.invalid"),
    });
    const nobody = `postgresql://authenticator:x@127.0.0.1:${await freePort()}/gateway`;
    const away = await run(["gateway"], settings({ GATEWAY_DB_URL: nobody }));
    expect(away).toMatchObject({ exitCode: 4, stderr: expect.stringContaining("GATEWAY_DB_URL") });
  });
});

describe("gpu-pool db bootstrap", () => {
  it("may run again, and sets the password of the role authenticator to the one in GATEWAY_DB_URL", async () => {
    const env = settings({ SUPABASE_DB_URL: stack.databaseUrl });
    expect(await run(["db", "bootstrap", "--json"], env)).toMatchObject({ exitCode: 0 });
    const { rows } = await stack.database.query("select rolcanlogin from pg_roles where rolname = 'authenticator'");
    expect(rows).toEqual([{ rolcanlogin: true }]);
  });

  it("refuses a URL of another role", async () => {
    const env = settings({ SUPABASE_DB_URL: stack.databaseUrl, GATEWAY_DB_URL: stack.databaseUrl });
    const { exitCode, stderr } = await run(["db", "bootstrap"], env);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("GATEWAY_DB_URL holds no password of the role authenticator");
  });
});
