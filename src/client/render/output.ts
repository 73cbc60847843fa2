import { randomInt } from "node:crypto";
import { stripVTControlCharacters, styleText } from "node:util";
import { eastAsianWidth } from "get-east-asian-width";
import { escapedJson, withoutHidden } from "../../../supabase/functions/_shared/text.ts";

type Format = Parameters<typeof styleText>[0];
export type Style = (format: Format, text: string) => string;

export interface Output {
  readonly style: Style;
  readonly isTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** Stdout is a terminal that has columns and rows. */
  readonly hasScreen: boolean;
  /**
   * The terminal's size now; 80 columns and 24 rows where it does not say, as in CI. Without a terminal nothing bounds the
   * columns: what reads a pipe shall have everything.
   */
  size(): { readonly columns: number; readonly rows: number };
  /** @returns what ends it */
  onResize(listener: () => void): () => void;
  /** Stdout, for a library that draws a screen by itself. What it draws is made by `painted`. */
  readonly stream: OutStream;
  /** A line as `print` would write it. */
  painted(line: string): string;
  /** Writes lines to stdout. Only results go there, so that they can be piped. A line end within a line becomes a space. */
  print(lines: string | readonly string[]): void;
  printJson(value: unknown): void;
  /** Shows lines instead of all that the terminal shows, until `leaveScreen`. */
  drawScreen(lines: readonly string[]): void;
  leaveScreen(): void;
  /** Like `print`, to stderr: everything that is not a result. */
  note(lines: string | readonly string[]): void;
  /** Writes to stderr without a line end. */
  question(text: string): void;
  /** Writes to stderr. On a terminal it replaces the line that the last call wrote; else it adds a line. */
  progress(line: string): void;
}

/** A terminal, a pipe or a file. Only a terminal has a size. */
export interface OutStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  on?(event: "resize", listener: () => void): unknown;
  off?(event: "resize", listener: () => void): unknown;
}

interface Streams {
  readonly stdout: OutStream;
  readonly stderr: OutStream;
}

/** The terminal's second screen, without a cursor. */
const ENTER_SCREEN = "\x1b[?1049h\x1b[?25l";
const LEAVE_SCREEN = "\x1b[?1049l\x1b[?25h";

/** @param env a NO_COLOR that is not empty turns colours off; TERM=dumb also all that a terminal obeys. */
export function createOutput(streams: Streams, env: Readonly<Record<string, string | undefined>>): Output {
  const { stdout, stderr } = streams;
  const isDumb = env["TERM"] === "dumb";
  const isTerminal = stdout.isTTY === true && !isDumb;
  const errIsTerminal = stderr.isTTY === true;
  const canOverwrite = errIsTerminal && !isDumb;
  let inProgress = false;
  let onScreen = false;
  const endProgress = () => {
    if (inProgress) {
      inProgress = false;
      stderr.write("\r\x1b[K");
    }
  };
  return {
    style: createStyle(isTerminal && !env["NO_COLOR"]),
    isTerminal,
    errIsTerminal,
    hasScreen: isTerminal && Boolean(stdout.columns) && Boolean(stdout.rows),
    size: () => sizeOf(stdout),
    onResize(listener) {
      stdout.on?.("resize", listener);
      return () => void stdout.off?.("resize", listener);
    },
    stream: stdout,
    painted: shown,
    print(lines) {
      endProgress();
      stdout.write(shownLines(lines));
    },
    printJson(value) {
      endProgress();
      stdout.write(`${escapedJson(JSON.stringify(value))}\n`);
    },
    drawScreen(lines) {
      // Line by line, which flickers less than clearing it all.
      const drawn = lines.map((line) => `${shown(line)}\x1b[K`).join("\n");
      stdout.write(`${onScreen ? "" : ENTER_SCREEN}\x1b[H${drawn}\x1b[J`);
      onScreen = true;
    },
    leaveScreen() {
      stdout.write(onScreen ? LEAVE_SCREEN : "");
      onScreen = false;
    },
    note(lines) {
      endProgress();
      stderr.write(shownLines(lines));
    },
    question(text) {
      endProgress();
      stderr.write(shown(text));
    },
    progress(line) {
      stderr.write(canOverwrite ? `\r\x1b[K${shown(line)}` : `${shown(line)}\n`);
      inProgress = canOverwrite;
    },
  };
}

function sizeOf({ isTTY, columns, rows }: OutStream): ReturnType<Output["size"]> {
  return isTTY === true
    ? { columns: columns || 80, rows: rows || 24 }
    : { columns: Number.POSITIVE_INFINITY, rows: 40 };
}

/** Colours of ours carry these numbers until they are written. No text of others can know them, so none brings its own. */
const OURS = Array.from({ length: 4 }, () => randomInt(1_000, 10_000)).join(";");
const OUR_COLOURS = new RegExp(`\\x1b\\[${OURS};([\\d;]*)m`);

/** Adds colours that `Output` writes, or returns the text unchanged if they are off. */
export function createStyle(enabled: boolean): Style {
  return enabled ? coloured : (_, text) => text;
}

function coloured(format: Format, text: string): string {
  // The caller has checked its stream; Node's own check would look at this process's stdout.
  const [open, close] = styleText(format, "|", { validateStream: false })
    .replaceAll("\x1b[", `\x1b[${OURS};`)
    .split("|");
  return `${open}${text}${close}`;
}

/** A line as it is written: whatever it holds of others, a terminal obeys only colours of ours. */
function shown(line: string): string {
  return line
    .split(OUR_COLOURS)
    .map((part, index) => (index % 2 === 0 ? plain(part) : `\x1b[${part}m`))
    .join("");
}

function shownLines(lines: string | readonly string[]): string {
  return (typeof lines === "string" ? [lines] : lines).map((line) => `${shown(line)}\n`).join("");
}

/** Text of others as one line of characters that a terminal shows: nothing that it obeys, and nothing that it hides. */
export function plain(text: string): string {
  return withoutHidden(stripVTControlCharacters(text));
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

let segmenter: Intl.Segmenter | undefined;

/** The characters of a text as a reader counts them. A segmenter takes 20 ms to make, which text in ASCII does not need. */
function charactersOf(text: string): string[] {
  if (isAscii(text)) {
    return text.split("");
  }
  segmenter ??= new Intl.Segmenter();
  return [...segmenter.segment(text)].map(({ segment }) => segment);
}

/** How many columns of a terminal a character takes: two for those of East Asia and for emoji. */
function widthOf(character: string): number {
  if (/\p{Emoji_Presentation}|\uFE0F/u.test(character)) {
    return 2;
  }
  return /^[\p{M}\p{Cf}]+$/u.test(character) ? 0 : eastAsianWidth(character.codePointAt(0) ?? 0);
}

/** How many columns of a terminal a text takes. */
export function visibleWidth(text: string): number {
  const visible = stripVTControlCharacters(text);
  return isAscii(visible)
    ? visible.length
    : charactersOf(visible).reduce((sum, character) => sum + widthOf(character), 0);
}

/** Cuts a text without colours to `width` columns; an ellipsis shows the cut. */
export function cut(text: string, width: number): string {
  if (visibleWidth(text) <= width) {
    return text;
  }
  let kept = "";
  let left = width - 1;
  for (const character of charactersOf(text)) {
    left -= widthOf(character);
    if (left < 0) {
      break;
    }
    kept += character;
  }
  return width <= 0 ? "" : `${kept}…`;
}
