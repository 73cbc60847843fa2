import { readFileSync } from "node:fs";

/** The package's version: its file is two folders up from the sources, three from a build. */
export function packageVersion(): string {
  const up = import.meta.url.endsWith(".ts") ? "../../" : "../../../";
  const text = readFileSync(new URL(`${up}package.json`, import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
