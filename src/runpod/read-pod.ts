import { z } from "zod";
import { plainText, plausibleNumber, plausiblePrice, plausibleTime } from "./plausible.ts";
import type { Pod } from "./types.ts";

/** The environment variable in which a pod has the id of its deployment. */
export const DEPLOYMENT_MARK = "GPU_POOL_DEPLOYMENT";
/** The status of a pod of which the provider shows none. */
export const UNKNOWN_STATUS = "UNKNOWN";

const LONGEST_STATUS = 40;
const LONGEST_TEXT = 200;
/** Statuses in which a pod costs nothing. */
const ENDED: ReadonlySet<string> = new Set(["EXITED", "TERMINATED"]);
/** The form of the names that pools give to their pods. */
const POOL_POD_NAME = /-[0-9a-f]{8}$/;

/** Only the id is required, because it alone identifies a pod. It stands in addresses, so its characters are limited. */
const identified = z.object({ id: z.string().regex(/^\w[\w.:-]{0,127}$/) });

const pageSchema = z.object({
  pods: z.array(z.unknown()),
  pagination: z
    .object({ nextCursor: z.string().refine(isWellFormed).nullish(), hasNextPage: z.boolean().nullish() })
    .nullish(),
});

export interface PodPage {
  readonly pods: readonly Pod[];
  readonly nextCursor: string | null;
}

type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly detail: string };

/**
 * Reads one pod. Any field but the id may be missing, new or odd: its value is then unknown. `detail` names fields, never
 * their values.
 */
export function readPod(body: unknown, nowMs: number): Read<Pod> {
  const parsed = identified.safeParse(body);
  if (!parsed.success) {
    return { ok: false, detail: `no pod: ${places(parsed.error)}` };
  }
  const raw = fieldsOf(body);
  const status = textOf(raw["status"], LONGEST_STATUS) ?? UNKNOWN_STATUS;
  const uptimeSec = plausibleNumber(fieldsOf(raw["runtime"])["uptime"]);
  return {
    ok: true,
    value: {
      id: parsed.data.id,
      name: textOf(raw["name"], LONGEST_TEXT),
      status,
      gpuTypeId: textOf(fieldsOf(raw["gpu"])["id"], LONGEST_TEXT),
      costPerHour: ENDED.has(status) && plausibleNumber(raw["cost"]) === 0 ? 0 : plausiblePrice(raw["cost"]),
      createdAt: plausibleTime(raw["createdAt"], nowMs),
      startedAt: plausibleTime(raw["startedAt"], nowMs),
      uptimeSec: uptimeSec !== null && uptimeSec >= 0 ? uptimeSec : null,
      env: readEnv(raw["env"]),
    },
  };
}

/**
 * Reads one page of a list. A page that does not show whether more pods exist is an error. So is an entry without a
 * readable id, if its name or its mark says that it may be ours: the list cannot prove that a pod of ours is gone. Any
 * other entry without an id is left out, because a foreign pod must not hide ours.
 */
export function readPodPage(body: unknown, nowMs: number): Read<PodPage> {
  const parsed = pageSchema.safeParse(body);
  if (!parsed.success) {
    return { ok: false, detail: `no page of pods: ${places(parsed.error)}` };
  }
  const { pods: entries, pagination } = parsed.data;
  const pods: Pod[] = [];
  for (const [index, entry] of entries.entries()) {
    const pod = readPod(entry, nowMs);
    if (pod.ok) {
      pods.push(pod.value);
    } else if (mayBeOurs(entry)) {
      return { ok: false, detail: `entry ${index}, which may be a pod of ours: ${pod.detail}` };
    }
  }
  const { hasNextPage, nextCursor } = pagination ?? {};
  if (hasNextPage === false || entries.length === 0) {
    return { ok: true, value: { pods, nextCursor: null } };
  }
  if (nextCursor) {
    return { ok: true, value: { pods, nextCursor } };
  }
  if (hasNextPage) {
    return { ok: false, detail: "more pods announced, but no cursor to reach them" };
  }
  // The key is there without a value: the provider says that no page follows.
  return nextCursor === null
    ? { ok: true, value: { pods, nextCursor: null } }
    : { ok: false, detail: `a page of ${entries.length} pods without a word on whether more follow` };
}

function mayBeOurs(entry: unknown): boolean {
  const { name, env } = fieldsOf(entry);
  return (typeof name === "string" && POOL_POD_NAME.test(name)) || DEPLOYMENT_MARK in fieldsOf(env);
}

function readEnv(raw: unknown): Pod["env"] {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    return null;
  }
  return Object.fromEntries(
    Object.entries(raw).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
  );
}

function textOf(raw: unknown, longest: number): string | null {
  return typeof raw === "string" && raw !== "" ? plainText(raw, longest) : null;
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function isWellFormed(text: string): boolean {
  return !/[\ud800-\udfff]/u.test(text);
}

function places(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join(".") || "body"} (${issue.code})`).join(", ");
}
