import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa, execaSync } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runClient } from "../../../kit/client.ts";

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "completion-"));
  for (const shell of SHELLS) {
    const { exitCode, stdout, stderr } = await runClient(["completion", shell], { cwd: folder, env: {} });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    await writeFile(join(folder, shell), stdout);
  }
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const SHELLS = ["bash", "zsh", "fish"];

function hasShell(shell: string): boolean {
  return execaSync(shell, ["-c", "true"], { reject: false }).exitCode === 0;
}

/** What the shell offers for the last word of a line; it is asked as its own completion asks. */
const ASKING: Readonly<Record<string, (words: readonly string[]) => string>> = {
  bash: (words) => `source ${join(folder, "bash")}; ${asBash(words)}`,
  zsh: (words) => `source ${join(folder, "zsh")}; emulate sh -c '${asBash(words)}'`,
  fish: (words) => `source ${join(folder, "fish")}; complete -C '${words.join(" ")}' | string split -f 1 \\t`,
};

function asBash(words: readonly string[]): string {
  const typed = words.map((word) => `"${word}"`).join(" ");
  return `COMP_WORDS=(${typed}); COMP_CWORD=${words.length - 1}; _gpu_pool; printf "%s\\n" "\${COMPREPLY[@]}"`;
}

async function offered(shell: string, ...words: string[]): Promise<string[]> {
  const script = ASKING[shell]?.(["gpu-pool", ...words]) ?? "";
  const flags = { bash: ["--norc"], zsh: ["-f"], fish: ["--no-config"] }[shell] ?? [];
  const { stdout } = await execa(shell, [...flags, "-c", script], { cwd: folder, stdin: "ignore" });
  return stdout.split("\n").filter((word) => word !== "");
}

describe.each(SHELLS.filter(hasShell))("completion in %s", (shell) => {
  it("offers the commands of a group and the flags of a command", async () => {
    expect(await offered(shell, "sta")).toEqual(["status"]);
    expect((await offered(shell, "pool", "")).slice(0, 2)).toEqual(["start", "list"]);
    expect(await offered(shell, "pool", "start", "--c")).toEqual(["--config"]);
    expect(await offered(shell, "--env-file", "x", "task", "show", "--js")).toEqual(["--json"]);
  });

  it("offers values that are known without a server", async () => {
    expect(await offered(shell, "submit", "--type", "travel_")).toContain("travel_orchestrator");
    expect(await offered(shell, "costs", "--by", "w")).toEqual(["worker"]);
    expect(await offered(shell, "tasks", "--status", "f")).toEqual(["failed"]);
    expect(await offered(shell, "completion", "z")).toEqual(["zsh"]);
    expect(await offered(shell, "config", "set", "maxA")).toEqual(["maxActiveGpus="]);
  });

  it("offers no flag where a value is due that only the person knows", async () => {
    expect(await offered(shell, "status", "--pool", "--j")).toEqual([]);
  });
});

it("refuses a shell that it has no script for, and names those that it has", async () => {
  const { exitCode, stderr } = await runClient(["completion", "tcsh"], { cwd: folder, env: {} });
  expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining("bash, zsh, fish") });
});
