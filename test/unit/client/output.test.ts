import { describe, expect, it } from "vitest";
import { createOutput, createStyle, cut, plain, visibleWidth } from "../../../src/client/render/output.ts";
import { type Column, renderTable } from "../../../src/client/render/table.ts";

function streams(isTTY: boolean) {
  const written: string[] = [];
  const stream = { isTTY, columns: 80, rows: 24, write: (text: string) => written.push(text) };
  return { written, both: { stdout: stream, stderr: stream } as unknown as Parameters<typeof createOutput>[0] };
}

describe("output", () => {
  it("has colours only on a terminal, and never with NO_COLOR", () => {
    const painted = (isTTY: boolean, env: Record<string, string>) =>
      createOutput(streams(isTTY).both, env).style("red", "text");
    expect(painted(true, {})).toBe("\x1b[31mtext\x1b[39m");
    expect(painted(true, { NO_COLOR: "" })).toBe("\x1b[31mtext\x1b[39m");
    expect(painted(true, { NO_COLOR: "1" })).toBe("text");
    expect(painted(false, {})).toBe("text");
  });

  it("overwrites progress on a terminal, and clears it before any other output", () => {
    const { written, both } = streams(true);
    const output = createOutput(both, {});
    output.progress("1 of 2");
    output.progress("2 of 2");
    output.print("done");
    expect(written.join("")).toBe("\r\x1b[K1 of 2\r\x1b[K2 of 2\r\x1b[Kdone\n");
  });

  it("writes progress as lines if there is no terminal", () => {
    const { written, both } = streams(false);
    const output = createOutput(both, {});
    output.progress("1 of 2");
    output.print("done");
    expect(written).toEqual(["1 of 2\n", "done\n"]);
  });

  it("removes control characters from foreign text", () => {
    expect(plain("a\x1b[31mb\x1b[2J\nc\td\x07")).toBe("ab c d ");
  });

  it("cuts long text by visible characters", () => {
    expect(cut("abcdef", 4)).toBe("abc…");
    expect(cut("abcd", 4)).toBe("abcd");
    expect(cut("👩‍🚀👩‍🚀👩‍🚀", 2)).toBe("👩‍🚀…");
    expect(cut("abc", 0)).toBe("");
  });
});

describe("tables", () => {
  interface Row {
    readonly name: string;
    readonly size: string;
    readonly note: string;
  }
  const columns: Column<Row>[] = [
    { title: "NAME", value: ({ name }) => name, paint: (_, text, style) => style("green", text) },
    { title: "SIZE", value: ({ size }) => size, align: "right" },
    { title: "NOTE", value: ({ note }) => note, dropOrder: 1 },
  ];
  const rows = [
    { name: "first", size: "1", note: "a long note about it" },
    { name: "the second", size: "200", note: "" },
  ];

  it("align their columns", () => {
    expect(renderTable(columns, rows, 80, createStyle(false))).toEqual([
      "NAME        SIZE  NOTE",
      "first          1  a long note about it",
      "the second   200  ",
    ]);
  });

  it("align them in the same way with colours", () => {
    const bare = renderTable(columns, rows, 80, createStyle(false));
    const coloured = renderTable(columns, rows, 80, createStyle(true));
    expect(coloured.map(visibleWidth)).toEqual(bare.map(visibleWidth));
    expect(coloured[1]).toContain("\x1b[32mfirst\x1b[39m");
  });

  it("drop optional columns, then cut the widest one, and never wrap", () => {
    expect(renderTable(columns, rows, 20, createStyle(false))[2]).toBe("the second   200");
    expect(renderTable(columns, rows, 12, createStyle(false))[2]).toBe("the s…   200");
  });
});
