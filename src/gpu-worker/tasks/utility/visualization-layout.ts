import type { Size } from "../../video/frames/format.ts";

/** An area of the picture, in px; all figures are even. */
export interface Area extends Size {
  readonly x: number;
  readonly y: number;
}

export type Layout = "side_by_side" | "triple" | "grid" | "vertical";

export interface VisualizationLayout {
  readonly size: Size;
  /** Of the guiding video, then of the guide if it is shown, then of the result. */
  readonly panels: readonly Area[];
  /** Where the pictures and the bar of progress are. */
  readonly timeline: Area;
}

const PANEL_HEIGHT = 400;
const TIMELINE_HEIGHT = 100;

/**
 * Lays a visualization out. `side_by_side` and `triple`: panels in a row, the timeline above or below. `vertical`: panels one below
 * the other. `grid`: two in a row, and the timeline below.
 * @param panels 2, or 3 with the guide. @param video the result's size: every panel has its aspect.
 */
export function layOut(layout: Layout, panels: 2 | 3, video: Size): VisualizationLayout {
  const width = Math.max(2, Math.round((PANEL_HEIGHT * video.width) / video.height / 2) * 2);
  const perRow = { side_by_side: panels, triple: panels, grid: 2, vertical: 1 }[layout];
  const rows = Math.ceil(panels / perRow);
  const above = layout === "side_by_side" ? TIMELINE_HEIGHT : 0;
  const size = { width: width * perRow, height: rows * PANEL_HEIGHT + TIMELINE_HEIGHT };
  return {
    size,
    panels: Array.from({ length: panels }, (_, index) => ({
      x: (index % perRow) * width,
      y: above + Math.floor(index / perRow) * PANEL_HEIGHT,
      width,
      height: PANEL_HEIGHT,
    })),
    timeline: { x: 0, y: above === 0 ? rows * PANEL_HEIGHT : 0, width: size.width, height: TIMELINE_HEIGHT },
  };
}

/** Where each of the pictures is in the timeline, side by side; and the bar below them. */
export function layOutTimeline({ x, y, width, height }: Area, pictures: number): { cells: Area[]; bar: Area } {
  const barHeight = 12;
  const cell = Math.max(4, Math.floor(width / Math.max(1, pictures) / 2) * 2);
  const fitting = Math.min(pictures, Math.floor(width / cell));
  const cells = Array.from({ length: fitting }, (_, index) => ({
    x: x + index * cell,
    y,
    width: cell,
    height: height - barHeight,
  }));
  return { cells, bar: { x, y: y + height - barHeight, width, height: barHeight } };
}
