import { createHash } from "node:crypto";

/** What to draw. Sizes in px. */
export interface Drawing {
  readonly prompt: string;
  readonly seed: number;
  readonly fps: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Filter graphs that draw moving colours, and a moving disc. Their constants derive from prompt and seed, so equal tasks give
 * equal pictures. The pixel formulas run on tiny pictures that are scaled up, which keeps large frames cheap.
 * No filter is newer than ffmpeg 4.1.
 */
export function drawingOf({ prompt, seed, fps, width, height }: Drawing) {
  const digest = createHash("sha256").update(`${seed}\n${prompt}`).digest();
  const pick = (index: number, min: number, max: number) =>
    (min + (digest.readUInt16BE(index * 2) / 0xffff) * (max - min)).toFixed(4);
  const wave = (index: number) =>
    `128+127*sin(X/${pick(index, 6, 12)}+T*${pick(index + 1, 0.5, 1.8)}+${pick(index + 2, 0, 6.28)})` +
    `*cos(Y/${pick(index + 3, 6, 12)}-T*${pick(index + 1, 0.4, 1.4)})`;
  const discSize = Math.max(4, Math.floor(Math.min(width, height) / 10) * 2);
  return {
    /** The colours as the stream `[to]`. */
    colours: (to: string) =>
      `color=c=black:s=32x32:r=${fps},format=gbrp,geq=r='${wave(0)}':g='${wave(4)}':b='${wave(8)}',` +
      `scale=${width}:${height}:flags=bicubic:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p[${to}]`,
    /** The disc above the stream `[from]`, as the stream `[to]`. */
    disc: (from: string, to: string) =>
      `color=c=white:s=48x48:r=${fps},format=rgba,geq=r='255':g='${pick(12, 180, 255)}':b='${pick(13, 90, 255)}':` +
      `a='255*clip(23.5-hypot(X-23.5,Y-23.5),0,1)',scale=${discSize}:${discSize}:flags=bicubic[disc];` +
      `[${from}][disc]overlay=x='(W-w)/2*(1+sin(t*${pick(14, 0.8, 2)}+${pick(15, 0, 6.28)}))':` +
      `y='(H-h)/2*(1+cos(t*${pick(15, 0.9, 2.4)}+${pick(14, 0, 6.28)}))'[${to}]`,
  };
}
