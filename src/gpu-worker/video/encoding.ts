import { availableParallelism } from "node:os";

/** x264 keeps frames for each thread, and those that it looks ahead: of 1920×1080, some 20 MB a thread and 6 MB a frame. */
const THREADS = Math.min(3, availableParallelism());
const LOOKAHEAD_FRAMES = 5;

/**
 * How carefully x264 works. `final`: what people get. `helper`: videos that only a model or the next step reads. `lossless`: what is
 * read again to the bit.
 */
export type Care = "final" | "helper" | "lossless";

const CARE: Readonly<Record<Care, readonly string[]>> = {
  final: ["-preset", "fast", "-crf", "18"],
  helper: ["-preset", "ultrafast", "-crf", "18"],
  lossless: ["-preset", "ultrafast", "-qp", "0"],
};

/**
 * H.264 in MP4: crf 18, yuv420p, marked BT.709 in limited range. Without the encoder's name in it, equal input gives equal
 * bytes, so a repeated upload is recognised.
 */
export function encodeArgs(fps: number, care: Care = "final"): string[] {
  return [
    ["-r", String(fps), "-c:v", "libx264", ...CARE[care], "-pix_fmt", "yuv420p", "-threads", String(THREADS)],
    // Without a thread of its own the lookahead keeps no further frames; the file is the same to the byte.
    ["-rc-lookahead", String(LOOKAHEAD_FRAMES), "-x264-params", "sync-lookahead=0"],
    ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"],
    ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart", "-f", "mp4"],
  ].flat();
}

/** A filter that turns pictures of any colour space into yuv420p, BT.709, limited range, as `encodeArgs` marks it. */
export const TO_BT709 =
  "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int,format=yuv420p";

/** A filter that turns pictures of any colour space into RGB, 8 bits. */
export const TO_RGB = "scale=in_color_matrix=auto:flags=bicubic+accurate_rnd+full_chroma_int,format=rgb24";
