import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const MAX_LINE = 130;
const MAX_FILE = 350;

const root = fileURLToPath(new URL("../../..", import.meta.url));

function sqlFiles(folder: string): { readonly name: string; readonly text: string }[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".sql"))
    .toSorted()
    .map((path) => ({ name: join(folder, path), text: readFileSync(join(root, folder, path), "utf8") }));
}

/** Where a table or function is defined, as one number over all migrations, and what the function's body names. */
interface Definition {
  readonly name: string;
  readonly place: number;
  readonly file: string;
  readonly body: string;
}

function definitions(): { readonly functions: Definition[]; readonly tables: Definition[] } {
  const functions: Definition[] = [];
  const tables: Definition[] = [];
  let before = 0;
  for (const { name: path, text } of sqlFiles("sql")) {
    const file = basename(path);
    const at = (match: RegExpExecArray) => ({ name: match[1] ?? "", place: before + match.index, file });
    for (const match of text.matchAll(/^create or replace function (\w+)\s*\([^$]*\$\$(.*?)\$\$;/gms)) {
      functions.push({ ...at(match), body: (match[2] ?? "").replaceAll(/--.*|'[^']*'/g, "") });
    }
    for (const match of text.matchAll(/^create (?:table if not exists|view) (\w+)/gm)) {
      tables.push({ ...at(match), body: "" });
    }
    before += text.length;
  }
  return { functions, tables };
}

describe("the SQL files", () => {
  it(`have lines of at most ${MAX_LINE} characters and at most ${MAX_FILE} lines`, () => {
    const files = [...sqlFiles("sql"), ...sqlFiles("src")];
    const tooLong = files.flatMap(({ name, text }) => {
      const lines = text.split("\n");
      return [
        ...lines.flatMap((line, index) => (line.length > MAX_LINE ? [`${name}:${index + 1}`] : [])),
        ...(lines.length > MAX_FILE + 1 ? [`${name} has ${lines.length} lines`] : []),
      ];
    });
    expect(tooLong).toEqual([]);
    expect(files.length).toBeGreaterThan(20);
  });

  it("define every function, table and view before the first function that names it", () => {
    const { functions, tables } = definitions();
    const namedTooEarly = functions.flatMap(({ name, place, file, body }) => {
      const words = new Set(body.match(/\w+/g));
      const calls = new Set([...body.matchAll(/(\w+)\s*\(/g)].map((match) => match[1]));
      return [...functions.filter((one) => calls.has(one.name)), ...tables.filter((one) => words.has(one.name))]
        .filter((one) => one.name !== name && one.place > place)
        .map((one) => `${file}: ${name} names ${one.name} of ${one.file}`);
    });
    expect(namedTooEarly).toEqual([]);
    expect(functions.length).toBeGreaterThan(100);
  });

  it("secure each table and view in the file that creates it, below its definition", () => {
    const created = sqlFiles("sql").flatMap(({ name, text }) =>
      [...text.matchAll(/^create (?:or replace )?(table|view) (?:if not exists )?(\w+)/gm)].map((match) => ({
        name: `${basename(name)}: ${match[2]}`,
        isSecured: text.includes(`\nselect secure_${match[1]}('${match[2]}');\n`, match.index),
      })),
    );
    expect(created.filter(({ isSecured }) => !isSecured)).toEqual([]);
    expect(created.length).toBeGreaterThan(20);
  });

  it("grant each function directly under its definition", () => {
    const forgotten = sqlFiles("sql").flatMap(({ name, text }) => {
      const parts = text.split(/^(?=create or replace function \w+\()/m).slice(1);
      return parts.flatMap((part) => {
        const [, called] = /^create or replace function (\w+)\(/.exec(part) ?? [];
        return /^[^$]*\$\$.*?\$\$;\nselect grant_to_(service|everyone)\('(\w+)\(/s.exec(part)?.[2] === called
          ? []
          : [`${basename(name)}: ${called}`];
      });
    });
    expect(forgotten.map((entry) => entry.replace(/^.*: /, ""))).toEqual([
      "grant_to_service",
      "grant_to_everyone",
      "secure_table",
      "secure_view",
    ]);
  });
});
