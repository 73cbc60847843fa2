import { z } from "zod";
import { cut } from "../../supabase/functions/_shared/text.ts";
import type { Schedule } from "../contract/pool-settings.ts";
import type { Kind } from "./kinds.ts";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).format(0) !== "";
  } catch {
    return false;
  }
}

const gpus = z.int("expected a whole number from 0 to 10000").min(0).max(10_000).optional();
const timeOfDay = /([01]\d|2[0-3]):[0-5]\d/.source;

const schedule = z
  .strictObject(
    {
      name: z.string("expected a name").regex(/^\S(.{0,62}\S)?$/, "expected 1 to 64 characters"),
      days: z
        .array(z.enum(DAYS, `expected ${DAYS.join(", ")}`), `expected a list of ${DAYS.join(", ")}`)
        .min(1, "expected at least one day")
        .readonly(),
      from: z.string("expected HH:MM").regex(new RegExp(`^${timeOfDay}$`), "expected HH:MM from 00:00 to 23:59"),
      to: z.string("expected HH:MM").regex(new RegExp(`^(${timeOfDay}|24:00)$`), "expected HH:MM from 00:00 to 24:00"),
      timeZone: z
        .string("expected an IANA time zone such as Europe/Berlin")
        .refine(isTimeZone, "expected an IANA time zone such as Europe/Berlin"),
      minActiveGpus: gpus,
      maxActiveGpus: gpus,
      machinesToKeepIdle: gpus,
    },
    "expected an object",
  )
  .refine(
    ({ minActiveGpus, maxActiveGpus, machinesToKeepIdle }) =>
      minActiveGpus !== undefined || maxActiveGpus !== undefined || machinesToKeepIdle !== undefined,
    "changes nothing: expected minActiveGpus, maxActiveGpus or machinesToKeepIdle",
  )
  .refine(({ minActiveGpus: min, maxActiveGpus: max }) => min === undefined || max === undefined || min <= max, {
    path: ["minActiveGpus"],
    error: "expected at most maxActiveGpus",
  })
  .readonly();

/** Windows of the week as a JSON array. An error names each wrong entry, by number and name, and its field. */
export function schedules(): Kind<readonly Schedule[]> {
  return {
    allowed: "a JSON array of windows, as docs/configuration.md describes them",
    fromText(given) {
      try {
        return JSON.parse(given);
      } catch {
        return given;
      }
    },
    schema: z.array(schedule).readonly(),
    explain: ({ issues }, value) => {
      const complaints = issues.filter(({ path }) => path.length > 0).map((issue) => complaint(issue, value));
      return complaints.length > 0 ? complaints.join("; ") : null;
    },
  };
}

function complaint({ path: [index, field], message, ...issue }: z.core.$ZodIssue, value: unknown): string {
  const entry: unknown = Array.isArray(value) ? value[Number(index)] : undefined;
  const name = z.looseObject({ name: z.string() }).safeParse(entry).data?.name;
  const where = `entry ${Number(index) + 1}${name ? ` (${cut(name, 64)})` : ""}`;
  if (issue.code === "unrecognized_keys") {
    return `${where}: unknown field ${issue.keys.join(", ")}`;
  }
  return field === undefined ? `${where}: ${message}` : `${where}, ${String(field)}: ${message}`;
}
