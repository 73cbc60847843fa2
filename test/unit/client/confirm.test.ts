import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { confirm } from "../../../src/client/confirm.ts";
import type { Context } from "../../../src/client/context.ts";
import { createOutput } from "../../../src/client/render/output.ts";

function terminal(typed: readonly string[], isTTY = true) {
  const said: string[] = [];
  const stderr = { write: (text: string) => said.push(text), isTTY };
  const stdin = Object.assign(Readable.from(typed), { isTTY });
  const context = { stdin, output: createOutput({ stdout: stderr, stderr }, {}) } as unknown as Context;
  return { said, ask: (yes = false) => confirm(context, "Rent it?", yes) };
}

describe("a question about money", () => {
  it("goes on by a yes only", async () => {
    const agreed = terminal(["y\n"]);
    await agreed.ask();
    expect(agreed.said.join("")).toContain("Rent it? [y/N]");
    for (const typed of [["n\n"], ["\n"], ["yesterday\n"], []]) {
      await expect(terminal(typed).ask()).rejects.toThrow("not agreed: nothing was done");
    }
  });

  it("is not asked of somebody who has agreed, and is refused where nobody can be asked", async () => {
    const { said, ask } = terminal([], false);
    await ask(true);
    expect(said).toEqual([]);
    await expect(ask()).rejects.toThrow("nobody can be asked here: Rent it?");
  });
});
