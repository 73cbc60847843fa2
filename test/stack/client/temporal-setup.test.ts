import { tmpdir } from "node:os";
import { expect, inject, it } from "vitest";
import { runClient } from "../../kit/client.ts";

it("temporal setup makes a namespace with its search attributes, and does nothing the second time", async () => {
  const namespace = `ns-${Math.random().toString(36).slice(2, 10)}`;
  const env = { TEMPORAL_ADDRESS: inject("shared").temporalAddress, TEMPORAL_NAMESPACE: namespace };
  const setup = (...args: string[]) => runClient(["temporal", "setup", ...args], { cwd: tmpdir(), env });
  const first = await setup();
  expect(first).toMatchObject({ exitCode: 0, stderr: "" });
  expect(first.stdout).toMatch(/^namespace ns-.*: made[^]*search attribute GpuPool: added/);
  expect((await setup()).stdout).toBe(`namespace ${namespace}: nothing to do`);
  expect((await setup("--retention", "3d")).stdout).toContain("kept for 72 hours (before: 168)");
});
