/** What a model can render: sides are multiples of `sidePx`, and a length is a multiple of `frameStep` plus one. */
export interface Grid {
  readonly sidePx: number;
  readonly frameStep: number;
}

/** Every size and every length. */
export const ANY: Grid = { sidePx: 1, frameStep: 1 };
const USUAL: Grid = { sidePx: 16, frameStep: 4 };
/** Families whose grid is another one, by the beginning of the model's name. */
const FAMILIES: readonly (readonly [string, Grid])[] = [
  ["ltxv", { sidePx: 32, frameStep: 8 }],
  ["z_image_img2img", { sidePx: 8, frameStep: 4 }],
];

export function gridOf(model: unknown): Grid {
  const family = FAMILIES.find(([start]) => typeof model === "string" && model.startsWith(start));
  return family?.[1] ?? USUAL;
}

/** The largest side of the grid up to `px`, and at least one step. */
export function snapSide(px: number, { sidePx }: Grid): number {
  return Math.max(sidePx, Math.floor(px / sidePx) * sidePx);
}

/** The longest length of the grid up to `frames`, which is at least 1. */
export function snapLength(frames: number, { frameStep }: Grid): number {
  return Math.floor((frames - 1) / frameStep) * frameStep + 1;
}
