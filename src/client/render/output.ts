import { stripVTControlCharacters, styleText } from "node:util";

type Format = Parameters<typeof styleText>[0];
export type Style = (format: Format, text: string) => string;

export interface Output {
  readonly style: Style;
  readonly isTerminal: boolean;
  readonly errIsTerminal: boolean;
  /** Of the terminal at this moment; 120 columns where stdout is none. */
  size(): { readonly columns: number; readonly rows: number };
  /** To stdout: results only, so that it can be piped. */
  print(line: string): void;
  printJson(value: unknown): void;
  /** To stdout, as it is. */
  write(text: string): void;
  /** To stderr: everything that is not a result. */
  note(line: string): void;
  /** To stderr: replaces the line that the last call wrote; without a terminal, a line of its own. */
  progress(line: string): void;
}

interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/** @param env NO_COLOR, when it holds anything, keeps colours off. */
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
    progress(line) {
      stderr.write(errIsTerminal ? `\r\x1b[K${line}` : `${line}\n`);
      inProgress = errIsTerminal;
    },
  };
}

/** Colours, or the bare text where they are off. */
export function createStyle(enabled: boolean): Style {
  // The stream was looked at already; Node would look at this process's stdout instead.
  return enabled ? (format, text) => styleText(format, text, { validateStream: false }) : (_, text) => text;
}

/** Text from elsewhere on one line, without anything that a terminal would obey. */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is taken out
  return stripVTControlCharacters(text).replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}

const segmenter = new Intl.Segmenter();

export function visibleWidth(text: string): number {
  return [...segmenter.segment(stripVTControlCharacters(text))].length;
}

/** At most `width` characters; what is cut off leaves an ellipsis. For text without colours. */
export function cut(text: string, width: number): string {
  const characters = [...segmenter.segment(text)].map(({ segment }) => segment);
  if (characters.length <= width) {
    return text;
  }
  return width <= 0 ? "" : `${characters.slice(0, width - 1).join("")}…`;
}
