import { cut, plain, type Style, visibleWidth } from "./output.ts";

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly align?: "left" | "right";
  readonly paint?: (row: Row, text: string, style: Style) => string;
  /** If the width does not suffice, columns with the highest number are dropped first; 0 or none: never dropped. */
  readonly dropOrder?: number;
}

const GAP = "  ";

/** A table of at most `width` characters. It never wraps: it drops columns, then cuts the widest one. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width: number, style: Style) {
  const measured = columns.map((column) => ({
    column,
    width: Math.max(visibleWidth(column.title), ...rows.map((row) => visibleWidth(plain(column.value(row))))),
  }));
  const fitted = fit(measured, width);
  const line = (cell: (entry: (typeof fitted)[number]) => { text: string; shown: string }) =>
    fitted
      .map((entry, index) => {
        const { text, shown } = cell(entry);
        const padding = " ".repeat(Math.max(0, entry.width - visibleWidth(text)));
        const isLast = index === fitted.length - 1;
        return entry.column.align === "right" ? padding + shown : shown + (isLast ? "" : padding);
      })
      .join(GAP);
  const head = line(({ column, width: columnWidth }) => {
    const text = cut(column.title, columnWidth);
    return { text, shown: style(["bold", "dim"], text) };
  });
  const body = rows.map((row) =>
    line(({ column, width: columnWidth }) => {
      const text = cut(plain(column.value(row)), columnWidth);
      return { text, shown: column.paint === undefined ? text : column.paint(row, text, style) };
    }),
  );
  return [head, ...body];
}

interface Measured<Row> {
  readonly column: Column<Row>;
  readonly width: number;
}

function fit<Row>(measured: readonly Measured<Row>[], width: number): readonly Measured<Row>[] {
  const total = measured.reduce((sum, entry) => sum + entry.width, GAP.length * (measured.length - 1));
  if (total <= width) {
    return measured;
  }
  const order = Math.max(0, ...measured.map(({ column }) => column.dropOrder ?? 0));
  if (order > 0) {
    return fit(
      measured.filter(({ column }) => (column.dropOrder ?? 0) < order),
      width,
    );
  }
  const widest = Math.max(...measured.map((entry) => entry.width));
  let cutOne = false;
  return measured.map((entry) => {
    if (cutOne || entry.width < widest) {
      return entry;
    }
    cutOne = true;
    return { ...entry, width: Math.max(4, entry.width - (total - width)) };
  });
}
