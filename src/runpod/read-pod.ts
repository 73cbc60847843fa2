import { z } from "zod";
import type { Pod } from "./types.ts";

const isoTime = z
  .string()
  .refine((text) => !Number.isNaN(Date.parse(text)))
  .nullish()
  .catch(null);

const podSchema = z
  .object({
    id: z.string().min(1),
    name: z.string(),
    status: z.string().min(1),
    gpu: z.object({ id: z.string() }).nullish().catch(null),
    cost: z.union([z.number(), z.string().min(1).transform(Number)]).nullish(),
    createdAt: isoTime,
    startedAt: isoTime,
    runtime: z.object({ uptime: z.number().nullish() }).nullish().catch(null),
    env: z.record(z.string(), z.coerce.string()).nullish(),
  })
  .transform((raw): Pod => ({
    id: raw.id,
    name: raw.name,
    status: raw.status,
    gpuTypeId: raw.gpu?.id ?? null,
    costPerHour: raw.cost == null || Number.isNaN(raw.cost) ? null : raw.cost,
    createdAt: raw.createdAt ?? null,
    startedAt: raw.startedAt ?? null,
    uptimeSec: raw.runtime?.uptime ?? null,
    env: raw.env ?? null,
  }));

const pageSchema = z.object({
  pods: z.array(podSchema),
  pagination: z.object({ nextCursor: z.string().nullish(), hasNextPage: z.boolean().nullish() }).nullish(),
});

export interface PodPage {
  readonly pods: readonly Pod[];
  readonly nextCursor: string | null;
}

type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly detail: string };

/** Reads one pod. Fields that are not used here may be missing or new. `detail` names fields, never their values. */
export function readPod(body: unknown): Read<Pod> {
  const parsed = podSchema.safeParse(body);
  return parsed.success ? { ok: true, value: parsed.data } : { ok: false, detail: `no pod: ${places(parsed.error)}` };
}

/** Reads one page of a list. A page that does not show whether more pods exist is an error. */
export function readPodPage(body: unknown, pageSize: number): Read<PodPage> {
  const parsed = pageSchema.safeParse(body);
  if (!parsed.success) {
    return { ok: false, detail: `no page of pods: ${places(parsed.error)}` };
  }
  const { pods, pagination } = parsed.data;
  if (!pagination) {
    return pods.length < pageSize
      ? { ok: true, value: { pods, nextCursor: null } }
      : { ok: false, detail: `a full page of ${pods.length} pods without a word on whether more follow` };
  }
  const nextCursor = pagination.nextCursor || null;
  if (pagination.hasNextPage === false) {
    return { ok: true, value: { pods, nextCursor: null } };
  }
  if (pagination.hasNextPage && nextCursor === null) {
    return { ok: false, detail: "more pods announced, but no cursor to reach them" };
  }
  return { ok: true, value: { pods, nextCursor } };
}

function places(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join(".") || "body"} (${issue.code})`).join(", ");
}
