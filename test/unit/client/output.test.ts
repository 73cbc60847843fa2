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
    const painted = (isTTY: boolean, env: Record<string, string>) => {
      const { written, both } = streams(isTTY);
      const output = createOutput(both, env);
      output.print(output.style(["red", "bold"], "text"));
      return written.join("");
    };
    expect(painted(true, {})).toBe("\x1b[31m\x1b[1mtext\x1b[22m\x1b[39m\n");
    expect(painted(true, { NO_COLOR: "" })).toBe("\x1b[31m\x1b[1mtext\x1b[22m\x1b[39m\n");
    expect(painted(true, { NO_COLOR: "1" })).toBe("text\n");
    expect(painted(false, {})).toBe("text\n");
  });

  it("takes 80 columns where a terminal says that it has none, and bounds nothing in a pipe", () => {
    const size = (stream: { isTTY?: boolean; columns?: number; rows?: number }) => {
      const stdout = { ...stream, write: () => true };
      return createOutput({ stdout, stderr: stdout }, {}).size();
    };
    expect(size({ isTTY: true, columns: 0, rows: 0 })).toEqual({ columns: 80, rows: 24 });
    expect(size({ isTTY: true })).toEqual({ columns: 80, rows: 24 });
    expect(size({ isTTY: true, columns: 132, rows: 50 })).toEqual({ columns: 132, rows: 50 });
    expect(size({}).columns).toBe(Infinity);
    const long = "x".repeat(300);
    expect(renderTable([{ title: "A", value: () => long }], [1], size({}).columns, createStyle(false))[1]).toBe(long);
  });

  it("writes nothing that a terminal obeys where TERM is dumb, and asks there all the same", () => {
    const { written, both } = streams(true);
    const output = createOutput(both, { TERM: "dumb" });
    output.progress("1 of 2");
    output.print(output.style("red", "text"));
    expect(written.join("")).toBe("1 of 2\ntext\n");
    expect(output).toMatchObject({ isTerminal: false, errIsTerminal: true });
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

  it("makes one line of seen characters of foreign text", () => {
    expect(plain("a\x1b[31mb\x1b[2J\nc\td\x07")).toBe("ab c d ");
    expect(plain("gpj\u202egnp.\u2066x\u2069 \u200ba\u00ad \u{e0041}b \u2028c \ud800")).toBe("gpjgnp.x a b  c \ufffd");
    expect(plain("👩‍🚀 می‌خواهم é 漢字")).toBe("👩‍🚀 می‌خواهم é 漢字");
  });

  /** Each makes a terminal do something else than show it, or shows it as something else. */
  const HOSTILE: Readonly<Record<string, string>> = {
    "a colour": "\x1b[31mred\x1b[0m",
    "concealed text": "\x1b[8mhidden",
    "a cleared screen": "\x1b[2J\x1b[H",
    "the second screen": "\x1b[?1049h",
    "a title": "\x1b]0;title\x07",
    "the clipboard": "\x1b]52;c;ZXZpbA==\x1b\\",
    "a link": "\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "a device string": "\x1bP$q\x1b\\",
    "an answer of the terminal": "\x1b[6n",
    "a reset": "\x1bc",
    "an unfinished sequence": "\x1b[",
    "controls of the second set": "\u009b31m\u009d0;title\u009c\u0090",
    "a carriage return": "harmless\rharmful",
    "a line of its own": "first\nsecond\r\nthird\u0085fourth\u2028fifth",
    backspaces: "ok\b\bno",
    "other direction": "\u202egpj.exe \u2067\u061c\u200f",
    "what is not seen": "a\u200bb\ufeff\u2060\u00ad\u{e0061}\u3164",
    "half a character": "\ud83d",
    "a bell, a NUL and a delete": "\x07\0\x7f",
    "numbers like ours": "\x1b[1000;1000;1000;1000;31mred",
  };

  it.each(Object.entries(HOSTILE))("writes %s of others as text, wherever it stands and in every way", (_, text) => {
    for (const isTTY of [true, false]) {
      const { written, both } = streams(isTTY);
      const output = createOutput(both, {});
      const columns = [{ title: "A", value: (row: string) => row }];
      output.print(text);
      output.print([`before ${text} after`, output.style("red", text)]);
      output.print(renderTable(columns, [text], 80, output.style));
      output.note(text);
      output.progress(text);
      output.question(text);
      output.drawScreen([text]);
      output.leaveScreen();
      // oxlint-disable-next-line no-control-regex -- it removes what is ours
      const ours = /\x1b\[(31|39|1|2|22)m|\r\x1b\[K|\x1b\[(H|J|K)|\x1b\[\?(1049|25)[hl]/g;
      const lines = written.join("").replace(ours, "").split("\n");
      expect(lines.join("")).not.toMatch(/[\p{Cc}\p{Cs}\u2028\u2029]|(?![\u200c\u200d])\p{Cf}/u);
      expect(lines.length).toBe(isTTY ? 7 : 8);
    }
  });

  it.each(Object.entries(HOSTILE))("writes %s of others in JSON that reads back the same", (_, text) => {
    const { written, both } = streams(true);
    const value = { text, [text]: [text] };
    createOutput(both, {}).printJson(value);
    expect(written.join("")).toMatch(/^[^\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]*\n$/u);
    expect(JSON.parse(written.join(""))).toEqual(value);
  });

  it("counts the columns that a terminal gives to a text", () => {
    const widths = { abc: 3, 漢字: 4, ｆｕｌｌ: 8, "👩‍🚀": 2, é: 1, "e\u0301": 1, "❤️": 2, "🎬 x": 4, 한국어: 6, "": 0 };
    expect(Object.fromEntries(Object.keys(widths).map((text) => [text, visibleWidth(text)]))).toEqual(widths);
    expect(visibleWidth(createStyle(true)("red", "漢字"))).toBe(4);
  });

  it("cuts long text by the columns of its characters", () => {
    expect(cut("漢字漢字", 5)).toBe("漢字…");
    expect(cut("漢字漢字", 6)).toBe("漢字…");
    expect(cut("漢字漢字", 8)).toBe("漢字漢字");
    expect(cut("abcdef", 4)).toBe("abc…");
    expect(cut("abcd", 4)).toBe("abcd");
    expect(cut("👩‍🚀👩‍🚀👩‍🚀", 3)).toBe("👩‍🚀…");
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

  it("align columns after text of which a terminal gives each character two cells", () => {
    const wide = [
      { name: "漢字", size: "1", note: "a" },
      { name: "ｶﾅ", size: "2", note: "b" },
      { name: "한국 👩‍🚀", size: "3", note: "c" },
      { name: "né…→█", size: "4", note: "d" },
    ];
    expect(renderTable(columns, wide, 80, createStyle(false))).toEqual([
      "NAME     SIZE  NOTE",
      "漢字        1  a",
      "ｶﾅ          2  b",
      "한국 👩‍🚀     3  c",
      "né…→█       4  d",
    ]);
  });

  it("align them in the same way with colours", () => {
    const bare = renderTable(columns, rows, 80, createStyle(false));
    const coloured = renderTable(columns, rows, 80, createStyle(true));
    expect(coloured.map(visibleWidth)).toEqual(bare.map(visibleWidth));
    const { written, both } = streams(true);
    createOutput(both, {}).print(coloured);
    expect(written.join("")).toContain("\x1b[32mfirst\x1b[39m");
  });

  it("drop optional columns, then cut the widest one, and never wrap", () => {
    expect(renderTable(columns, rows, 20, createStyle(false))[2]).toBe("the second   200");
    expect(renderTable(columns, rows, 12, createStyle(false))[2]).toBe("the s…   200");
  });
});
