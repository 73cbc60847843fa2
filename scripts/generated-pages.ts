import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * The page's text with another part from `source`, between the marks around it.
 * @throws Error when the text lacks the marks
 */
export function withPart(page: URL, text: string, source: string, part: string): string {
  const [head, tail] = [`<!-- from ${source} -->\n`, "\n<!-- end -->"];
  const start = text.indexOf(head);
  const end = text.indexOf(tail, start);
  if (start === -1 || end === -1) {
    throw new Error(
      `${fileURLToPath(page)} lacks the marks around its part from ${source}: restore them from version control`,
    );
  }
  return `${text.slice(0, start)}${head}\n${part}${text.slice(end)}`;
}

/** A Markdown table as the formatter writes it, so that it changes nothing. */
export function markdownTable([head = [], ...rows]: string[][]): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((cells) => cells[column]?.length ?? 0)));
  return [head, widths.map((width) => "-".repeat(width)), ...rows]
    .map((cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`)
    .join("\n");
}

/**
 * Writes the generated files, or sets the exit code 1 when one of them is not current.
 * @param origin completes "… does not match"
 * @throws Error when the mode is neither --write nor --check
 */
export function writeOrCheck(
  mode: string | undefined,
  files: readonly { readonly url: URL; readonly text: string }[],
  origin: string,
): void {
  if (mode !== "--write" && mode !== "--check") {
    throw new Error(`expected --check or --write, got ${mode ?? "nothing"}`);
  }
  for (const { url, text } of files) {
    if (mode === "--write") {
      writeFileSync(url, text);
    } else if (!existsSync(url) || readFileSync(url, "utf8") !== text) {
      console.error(`${fileURLToPath(url)} does not match ${origin}`);
      process.exitCode = 1;
    }
  }
}
