/** Rows of each letter of "PREVIEW", so that no font file is needed. */
const LETTERS: readonly (readonly string[])[] = [
  ["11.", "1.1", "11.", "1..", "1.."],
  ["11.", "1.1", "11.", "1.1", "1.1"],
  ["111", "1..", "11.", "1..", "111"],
  ["1.1", "1.1", "1.1", "1.1", ".1."],
  ["111", ".1.", ".1.", ".1.", "111"],
  ["111", "1..", "11.", "1..", "111"],
  ["1...1", "1...1", "1.1.1", "11.11", "1...1"],
];

/** White where the mark has a "1", black elsewhere, with an edge of one cell. */
export const MARK_ROWS: readonly string[] = rows();

const COLUMNS = MARK_ROWS[0]?.length ?? 0;
const WIDEST_SHARE = 4;

/** In px. */
interface PictureSize {
  readonly width: number;
  readonly height: number;
}

export interface MarkPlace extends PictureSize {
  readonly x: number;
  readonly y: number;
}

/** Where the mark stands in a picture: a quarter of its width, at the lower left; in a small picture as large as legible or as fits. */
export function markPlace({ width, height }: PictureSize): MarkPlace {
  // Compression blurs what is smaller.
  const smallestPx = width >= COLUMNS * 2 ? 2 : 1;
  const cellPx = Math.max(smallestPx, Math.floor(width / (COLUMNS * WIDEST_SHARE)));
  const markWidth = Math.min(width, COLUMNS * cellPx);
  const markHeight = Math.min(height, MARK_ROWS.length * cellPx);
  return { width: markWidth, height: markHeight, x: 0, y: height - markHeight };
}

/**
 * A filter graph that puts the mark on every picture of the stream `[from]`, as the stream `[to]`.
 * @param pixels how the overlay works: "yuv420" for videos, "rgb" for pictures
 */
export function markGraph(from: string, to: string, size: PictureSize, pixels: "yuv420" | "rgb"): string {
  const { width, height, x, y } = markPlace(size);
  const boxes = MARK_ROWS.flatMap((row, top) =>
    [...row.matchAll(/1+/g)].map(
      ({ 0: run, index }) => `drawbox=x=${index}:y=${top}:w=${run.length}:h=1:color=white:t=fill`,
    ),
  );
  const mark = `color=c=black:s=${COLUMNS}x${MARK_ROWS.length}:r=1:d=1,format=yuv444p,${boxes.join(",")}`;
  // One picture, which the overlay repeats.
  return `${mark},scale=${width}:${height}:flags=neighbor[mark];[${from}][mark]overlay=x=${x}:y=${y}:format=${pixels}[${to}]`;
}

function rows(): string[] {
  const lines = [0, 1, 2, 3, 4].map((row) => LETTERS.map((letter) => letter[row]).join("."));
  const blank = ".".repeat((lines[0]?.length ?? 0) + 2);
  return [blank, ...lines.map((line) => `.${line}.`), blank];
}
