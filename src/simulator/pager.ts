import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { SimulatedPod } from "./pod.ts";

export type Page =
  | { readonly ok: true; readonly pods: readonly SimulatedPod[]; readonly nextCursor: string | null }
  | { readonly ok: false; readonly error: z.ZodError };

/** Cuts lists into pages. A cursor names the last pod shown; a pager accepts only its own cursors. */
export function createPager(): { page(newestFirst: readonly SimulatedPod[], query: unknown, maxSize: number): Page } {
  const mark = randomBytes(4).toString("hex");
  const toCursor = (sequence: number): string => Buffer.from(`${mark}:${sequence}`).toString("base64url");
  const fromCursor = (cursor: string): number | undefined => {
    const [owner, sequence] = Buffer.from(cursor, "base64url").toString().split(":");
    return owner === mark && /^\d+$/.test(sequence ?? "") ? Number(sequence) : undefined;
  };
  // The provider ignores unknown query parameters.
  const querySchema = z.object({
    limit: z.coerce.number().int().min(1).max(1000).default(1000),
    cursor: z
      .string()
      .transform((cursor, context) => {
        const sequence = fromCursor(cursor);
        if (sequence === undefined) {
          context.addIssue({ code: "custom", message: "invalid cursor" });
        }
        return sequence ?? 0;
      })
      .optional(),
  });
  return {
    page(newestFirst, query, maxSize) {
      const parsed = querySchema.safeParse(query);
      if (!parsed.success) {
        return { ok: false, error: parsed.error };
      }
      const { limit, cursor = Infinity } = parsed.data;
      const rest = newestFirst.filter((pod) => pod.sequence < cursor);
      const pods = rest.slice(0, Math.min(limit, maxSize));
      const last = pods.at(-1);
      return { ok: true, pods, nextCursor: last && rest.length > pods.length ? toCursor(last.sequence) : null };
    },
  };
}
