import type { Dice } from "./dice.ts";
import type { Prey } from "./prey.ts";

/** A kind of hostile value. `json` is the text of one JSON value, which need not be one that JSON.stringify could write. */
export interface Family {
  readonly name: string;
  readonly json: (dice: Dice, prey: Prey) => string;
}

/** Add a family here; every door gets it. */
export const FAMILIES: readonly Family[] = [
  {
    name: "poison numbers",
    json: literal(["1e131071", "-1e131071", "1e308", "1e-400", "9".repeat(5_000), `0.${"0".repeat(20_000)}1`]),
  },
  {
    name: "limits of numbers",
    json: literal(["2147483648", "-1", "9223372036854775808", "0.1", "-0", "1e19", "4294967296"]),
  },
  { name: "many keys", json: (dice) => keys(dice.pick([300, 2_000, 20_000])) },
  { name: "deep nesting", json: (dice) => nested(dice.pick([40, 499, 501, 5_000])) },
  {
    name: "long texts",
    json: (dice) => JSON.stringify(dice.pick(["a", "🎬", "\u0301"]).repeat(dice.pick([300, 9_000, 100_000]))),
  },
  {
    name: "long lists",
    json: (dice) =>
      `[${Array(dice.pick([1_001, 20_000]))
        .fill("1")
        .join(",")}]`,
  },
  { name: "half characters", json: literal(['"\\ud800"', '"\\udfff\\ud83c"', '"a\\u0000b"', '"\\u0000"']) },
  { name: "terminals", json: quoted(["\x1b]0;t\x07", "\x1b[2J", "\u009b31m", "\u202egpj.exe", "\u2066\u200b"]) },
  {
    name: "SQL",
    json: quoted(["'; drop table tasks; --", "' or 1=1 --", '"); select pg_sleep(20); --', "$$", "\\'", "%s%n"]),
  },
  {
    name: "PostgREST",
    json: quoted(["eq.1", "in.(1,2)", "is.null", "cs.{a}", "*,tasks(*)", "id.desc.nullslast", "not.and(a.eq.1)"]),
  },
  {
    name: "scripts",
    json: quoted(["<script>alert(1)</script>", "javascript:alert(1)", '"><img src=x onerror=1>', "{{7*7}}", "${7*7}"]),
  },
  {
    name: "paths",
    json: quoted([
      "../../etc/passwd",
      "..%2f..%2fetc",
      "/etc/shadow",
      "a/../../b",
      "\\\\host\\share",
      "C:\\x",
      "a\0.mp4",
      "./.",
      "%00",
    ]),
  },
  {
    name: "addresses",
    json: quoted([
      "http://127.0.0.1:22/",
      "http://169.254.169.254/latest/meta-data",
      "http://[::ffff:127.0.0.1]/",
      "file:///etc/passwd",
      "gopher://localhost/",
      "http://0x7f.1/",
      "https://user:pw@evil.example/",
      "javascript:1//storage/v1/object/public/videos/a",
    ]),
  },
  {
    name: "prototypes",
    json: literal([
      '{"__proto__":{"a":1}}',
      '{"constructor":{"prototype":{"a":1}}}',
      '{"toString":1,"valueOf":null}',
      '{"length":-1}',
    ]),
  },
  {
    name: "times",
    json: quoted([
      "infinity",
      "-infinity",
      "294277-01-01",
      "0000-00-00",
      "4714-11-24 BC",
      "now",
      "1e9",
      "2026-13-45T99:99",
    ]),
  },
  {
    name: "wrong types",
    json: literal(["null", "true", "[]", "{}", '""', "0", "[[]]", '{"a":null}', '"null"', '"NaN"']),
  },
  {
    name: "ids of others",
    json: (dice, prey) =>
      JSON.stringify(dice.pick([prey.task, prey.project, prey.worker, prey.lease, prey.user, prey.pool])),
  },
  {
    name: "reserved names",
    json: quoted(["personal", "main", "service_role", "postgres", "pg_catalog", "all", "*", "", " ", "default"]),
  },
  {
    name: "broken JSON",
    json: literal([
      '{"a":',
      "{a:1}",
      "'a'",
      "[1,]",
      "\u0000",
      "undefined",
      "NaN",
      '"\n"',
      '{"a":1}{"b":2}',
      "\ufeff{}",
    ]),
  },
];

function quoted(of: readonly string[]): Family["json"] {
  return (dice) => JSON.stringify(dice.pick(of));
}

function literal(of: readonly string[]): Family["json"] {
  return (dice) => dice.pick(of);
}

function keys(count: number): string {
  return `{${Array.from({ length: count }, (_, index) => `"k${index}":${index}`).join(",")}}`;
}

function nested(levels: number): string {
  return `${"[".repeat(levels)}1${"]".repeat(levels)}`;
}
