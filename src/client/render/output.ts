import { stripVTControlCharacters, styleText } from "node:util";

type Format = Parameters<typeof styleText>[0];
export type Style = (format: Format, text: string) => string;

export interface Output {
  readonly style: Style;
  readonly isTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** The terminal's size now; 120 columns and 40 rows if stdout is no terminal. */
  size(): { readonly columns: number; readonly rows: number };
  /** Writes a line to stdout. Only results go there, so that they can be piped. */
  print(line: string): void;
  printJson(value: unknown): void;
  /** Writes to stdout without a line end. */
  write(text: string): void;
  /** Writes a line to stderr: everything that is not a result. */
  note(line: string): void;
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

/** @param env a NO_COLOR that is not empty turns colours off. */
export function createOutput(streams: Streams, env: Readonly<Record<string, string | undefined>>): Output {
  const { stdout, stderr } = streams;
  const isTerminal = stdout.isTTY === true;
  const errIsTerminal = stderr.isTTY === true;
  let inProgress = false;
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
    size: () => ({ columns: stdout.columns ?? 120, rows: stdout.rows ?? 40 }),
    print(line) {
      endProgress();
      stdout.write(`${line}\n`);
    },
    printJson(value) {
      endProgress();
      stdout.write(`${JSON.stringify(value)}\n`);
    },
    write: (text) => void stdout.write(text),
    note(line) {
      endProgress();
      stderr.write(`${line}\n`);
    },
    question(text) {
      endProgress();
      stderr.write(text);
    },
    progress(line) {
      stderr.write(errIsTerminal ? `\r\x1b[K${line}` : `${line}\n`);
      inProgress = errIsTerminal;
    },
  };
}

/** Adds colours, or returns the text unchanged if they are off. */
export function createStyle(enabled: boolean): Style {
  // The caller has checked its stream; Node's own check would look at this process's stdout.
  return enabled ? (format, text) => styleText(format, text, { validateStream: false }) : (_, text) => text;
}

/** Makes foreign text safe for a terminal: one line, without control characters. */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- it removes control characters
  return stripVTControlCharacters(text).replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
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

export function visibleWidth(text: string): number {
  return charactersOf(stripVTControlCharacters(text)).length;
}

/** Cuts a text without colours to `width` characters; an ellipsis shows the cut. */
export function cut(text: string, width: number): string {
  const characters = charactersOf(text);
  if (characters.length <= width) {
    return text;
  }
  return width <= 0 ? "" : `${characters.slice(0, width - 1).join("")}…`;
}
