import { execa } from "execa";
import { expect, it } from "vitest";
import { projectProgram } from "../../src/process/program.ts";

it("the Temporal worker does not start where rented pods could not reach its database, and names the variable", async () => {
  const { command, args } = projectProgram("worker");
  const env = {
    PATH: process.env["PATH"],
    SUPABASE_URL: "http://127.0.0.1:54321",
    SUPABASE_ANON_KEY: "anon",
    SUPABASE_SERVICE_ROLE_KEY: "service",
    RUNPOD_API_KEY: "key",
  };
  const { exitCode, stderr } = await execa(command, args, { extendEnv: false, env, reject: false });
  expect({ exitCode, stderr }).toMatchObject({
    exitCode: expect.any(Number),
    stderr: expect.stringContaining("SUPABASE_URL=http://127.0.0.1:54321: a rented pod cannot reach this address"),
  });
  expect(exitCode).not.toBe(0);
});
