import { z } from "zod";
import type { Kind } from "./kinds.ts";

export interface Size {
  readonly width: number;
  readonly height: number;
}

const TEXT = /^(\d{1,5})x(\d{1,5})$/;

/** The kind of one side, and that of a size such as "832x480" or [832, 480], which is read as the text. */
export interface SizeKinds {
  readonly side: Kind;
  readonly both: Kind;
}

/** Sizes whose sides are between 16 and `max`, a power of two. */
export function sizes(max: number, { even }: { readonly even: boolean }): SizeKinds {
  const side = even ? z.int().min(16).max(max).multipleOf(2) : z.int().min(16).max(max);
  const which = even ? "even integer" : "integer";
  const pair = z.tuple([side, side]);
  const both = z
    .union([
      z
        .string()
        .regex(TEXT)
        .transform((text) => text.split("x").map(Number))
        .pipe(pair),
      pair,
    ])
    .transform(([width, height]) => textOf({ width, height }));
  return {
    side: { allowed: `an ${which} between 16 and ${max}`, schema: side },
    both: {
      allowed: `a text such as "832x480", two ${which}s between 16 and ${max}`,
      schema: both,
      snaps: "size",
    },
  };
}

export function textOf({ width, height }: Size): string {
  return `${width}x${height}`;
}

/** @param text such as "832x480", as every resolved size is */
export function sizeOf(text: string): Size {
  const [, width, height] = TEXT.exec(text) ?? [];
  return { width: Number(width), height: Number(height) };
}
