import { type Curve, EASING } from "./easing.ts";
import type { Given } from "../resolved.ts";
import { valueOf } from "./given.ts";

/** How a picture comes or goes in a guide: over a share of the free frames, between two strengths. */
interface Fade {
  readonly low_point: number;
  readonly high_point: number;
  readonly curve_type: Curve;
  /** 0: it comes or goes at once. */
  readonly duration_factor: number;
}

/** How strongly pictures and earlier frames stand in a guide: 1 covers what is below, 0 leaves it. One number a frame. */
export interface GuideStrengths {
  /** Of the frames shared with the segment before. */
  readonly previous: readonly number[];
  /** Of the first picture, from the first frame on; empty: there is none. */
  readonly start: readonly number[];
  /** Of the last picture, up to the last frame; empty: there is none. */
  readonly end: readonly number[];
}

const AT_ONCE: Fade = { low_point: 0, high_point: 1, curve_type: "ease_in_out", duration_factor: 0 };

interface Shared {
  readonly frames: number;
  readonly previous: number;
  readonly hasStart: boolean;
  readonly hasEnd: boolean;
}

/** The strengths in a guide of so many frames, of which `previous` come from the segment before. */
export function guideStrengths(given: Given, { frames, previous, hasStart, hasEnd }: Shared): GuideStrengths {
  const fadeOut = fadeOf(given, "fade_out_params_json_str");
  const fadeIn = fadeOf(given, "fade_in_params_json_str");
  const more = valueOf<number>(given, "subsequent_starting_strength_adjustment") ?? 0;
  const free = Math.max(0, frames - 1 - Math.max(previous, 1));
  const shared = Math.min(previous, frames);
  const fading = fall(fadeOut, shared);
  const before = Array.from({ length: shared }, (_, at) => {
    const strength = fadeOut.duration_factor > 0 ? (fading[at] ?? 1) : fadeOut.high_point;
    return Math.min(1, Math.max(0, strength + (fadeOut.duration_factor > 0 && at >= fading.length ? 0 : more)));
  });
  return {
    previous: before,
    start: hasStart ? [1, ...fall(fadeOut, free)] : [],
    end: hasEnd ? [...rise(fadeIn, free), 1] : [],
  };
}

function fadeOf(given: Given, name: string): Fade {
  const own = valueOf<Partial<Record<keyof Fade, unknown>>>(given, name) ?? {};
  const set = Object.entries(own).filter(([, value]) => value !== null && value !== undefined);
  return { ...AT_ONCE, ...(Object.fromEntries(set) as Partial<Fade>) };
}

function rise(fade: Fade, frames: number): number[] {
  const steps = Math.floor(frames * fade.duration_factor);
  return Array.from({ length: steps }, (_, step) => strengthAt(fade, (step + 1) / steps));
}

function fall(fade: Fade, frames: number): number[] {
  const steps = Math.floor(frames * fade.duration_factor);
  return Array.from({ length: steps }, (_, step) => strengthAt(fade, 1 - (step + 1) / steps));
}

function strengthAt({ low_point: low, high_point: high, curve_type: curve }: Fade, share: number): number {
  return low + (high - low) * EASING[curve](share);
}
