import { cutToEnd } from "../../../supabase/functions/_shared/text.ts";

const SHOWN_CHARS = 500;

/** One line about a failed run of ffmpeg: its last words, or how it ended. */
export function failureText(path: string, stderr: string, shortMessage: string | undefined): string {
  return `ffmpeg (${path}) failed: ${cutToEnd((stderr || (shortMessage ?? "")).trim(), SHOWN_CHARS)}`;
}
