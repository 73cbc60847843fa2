import { randomInt } from "node:crypto";
import { stripVTControlCharacters, styleText } from "node:util";
import { escapedJson, withoutHidden } from "../../../supabase/functions/_shared/text.ts";

type Format = Parameters<typeof styleText>[0];
export type Style = (format: Format, text: string) => string;

export interface Output {
  readonly style: Style;
  readonly isTerminal: boolean;
  readonly errIsTerminal: boolean;
  /**
   * The terminal's size now; 80 columns and 24 rows where it does not say, as in CI. Without a terminal nothing bounds the
   * columns: what reads a pipe shall have everything.
   */
  size(): { readonly columns: number; readonly rows: number };
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
    size: () =>
      stdout.isTTY === true
        ? { columns: stdout.columns || 80, rows: stdout.rows || 24 }
        : { columns: Number.POSITIVE_INFINITY, rows: 40 },
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

let segmenter: Intl.Segmenter | undefined;

/** The characters of a text as a reader counts them. A segmenter takes 20 ms to make, which text in ASCII does not need. */
function charactersOf(text: string): string[] {
  if (/^[\x20-\x7e]*$/.test(text)) {
    return text.split("");
  }
  segmenter ??= new Intl.Segmenter();
  return [...segmenter.segment(text)].map(({ segment }) => segment);
}

/** Scripts and pictures of which a terminal gives each character two cells; halfwidth forms have one. */
const WIDE =
  /^(?![\uff61-\uffdc])[\p{Emoji_Presentation}\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Hangul}\p{scx=Bopomofo}\p{scx=Yi}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]|\ufe0f/u;

function cellsOf(character: string): number {
  return character <= "\u10ff" || !WIDE.test(character) ? 1 : 2;
}

/** In cells of a terminal. */
export function visibleWidth(text: string): number {
  return charactersOf(stripVTControlCharacters(text)).reduce((sum, each) => sum + cellsOf(each), 0);
}

/** Cuts a text without colours to `width` cells; an ellipsis shows the cut. */
export function cut(text: string, width: number): string {
  if (visibleWidth(text) <= width) {
    return text;
  }
  let left = width - 1;
  const kept = charactersOf(text).filter((each) => left >= 0 && (left -= cellsOf(each)) >= 0);
  return width <= 0 ? "" : `${kept.join("")}…`;
}
