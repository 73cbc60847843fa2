import { cut, plain, type Style } from "./output.ts";

export type Colour = "green" | "yellow" | "red" | "cyan" | "dim";

const LABEL_WIDTH = 11;

/** Lines of a label and a text, each at most `width` characters wide. */
export function labelled(width: number, style: Style) {
  return (label: string, text: string, colour?: Colour): string => {
    const value = cut(plain(text), width - LABEL_WIDTH);
    return style("dim", label.padEnd(LABEL_WIDTH)) + (colour === undefined ? value : style(colour, value));
  };
}

/** A headline: the pool and its operator's intent. */
export function headline(pool: string, wish: string, width: number, style: Style): string {
  const title = cut(plain(`pool ${pool}`), width);
  return style("bold", title) + cut(plain(`: ${wish}`), width - title.length);
}

export function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
