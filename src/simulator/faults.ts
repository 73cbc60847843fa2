import { setTimeout as delay } from "node:timers/promises";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import type { CreateVariation } from "./fleet.ts";
import { sendNoFunds, sendProblem } from "./problems.ts";

const ms = z.number().int().min(0);
const times = z.number().int().min(1).default(1);
const error = { kind: z.literal("error"), times };
const reset = { kind: z.literal("reset"), afterMs: ms.default(0), times };
const garbage = { kind: z.literal("garbage"), times };
const rateLimited = { kind: z.literal("rate-limited"), retryAfterSec: z.number().min(0).default(1), times };

/** Fields that every later answer shows in place of the true ones. */
const fields = z.record(z.string(), z.unknown());

/** The fault waits for the pod of this name. */
const named = { podName: z.string().optional() };

const onCreate = { on: z.literal("create") };
/** `created`: whether the pod exists although the answer does not say so; `listLagMs`: time until lists show it. */
const hidden = { created: z.boolean(), listLagMs: ms.optional() };
const onRead = { on: z.enum(["list", "get"]) };
const onDelete = { on: z.literal("delete") };

/** A fault for the next `times` requests of the kind `on`. Faults of one kind of request apply in order. */
export const faultSchema = z.union([
  z.strictObject({ ...onCreate, ...error, ...hidden }),
  z.strictObject({ ...onCreate, ...reset, ...hidden }),
  z.strictObject({ ...onCreate, ...garbage, ...hidden }),
  z.strictObject({ ...onCreate, ...rateLimited }),
  z.strictObject({ ...onCreate, kind: z.enum(["no-capacity", "no-funds"]), times }),
  z.strictObject({ ...onCreate, kind: z.literal("mute"), ...named, times }),
  z.strictObject({ ...onCreate, kind: z.literal("list-lag"), listLagMs: ms, times }),
  z.strictObject({
    ...onCreate,
    kind: z.literal("odd-fields"),
    fields,
    ...named,
    mute: z.boolean().default(false),
    times,
  }),
  z.strictObject({ on: z.literal("list"), kind: z.literal("odd-entries"), entries: z.array(z.unknown()), times }),
  z.strictObject({ ...onRead, ...error }),
  z.strictObject({ ...onRead, ...reset }),
  z.strictObject({ ...onRead, ...garbage }),
  z.strictObject({ ...onRead, ...rateLimited }),
  z.strictObject({ ...onDelete, ...error }),
  z.strictObject({ ...onDelete, ...reset }),
  z.strictObject({ ...onDelete, ...rateLimited }),
]);

export type Fault = z.infer<typeof faultSchema>;
export type FaultInput = z.input<typeof faultSchema>;
export type FaultyCall = Fault["on"];

export interface Faults {
  add(fault: Fault): void;
  clear(): void;
  /**
   * The fault that applies to the current request; counts it as used once.
   * @param podName of a create request. A fault with another pod's name does not apply to it.
   */
  take(on: FaultyCall, podName?: string): Fault | undefined;
}

export function createFaults(): Faults {
  const queue: { readonly fault: Fault; left: number }[] = [];
  return {
    add: (fault) => void queue.push({ fault, left: fault.times }),
    clear: () => void queue.splice(0),
    take(on, podName) {
      const next = queue.find(({ fault }) => fault.on === on && isFor(fault, podName));
      if (next && --next.left === 0) {
        queue.splice(queue.indexOf(next), 1);
      }
      return next?.fault;
    },
  };
}

function isFor(fault: Fault, podName: string | undefined): boolean {
  return !("podName" in fault) || fault.podName === undefined || fault.podName === podName;
}

/** How a create request varies under the fault; null when no pod is made. */
export function creationUnder(fault: Fault | undefined): CreateVariation | null {
  if (fault === undefined) {
    return {};
  }
  if (fault.kind === "mute") {
    return { mute: true };
  }
  if (fault.kind === "list-lag") {
    return { listLagMs: fault.listLagMs };
  }
  if (fault.kind === "odd-fields") {
    return { oddFields: fault.fields, mute: fault.mute };
  }
  return "created" in fault && fault.created ? { listLagMs: fault.listLagMs } : null;
}

/** Sends the fault's answer; false when the fault does not change the answer. */
export async function answerFault(
  fault: Fault | undefined,
  reply: FastifyReply,
  closing: AbortSignal,
): Promise<boolean> {
  switch (fault?.kind) {
    case "error":
      sendProblem(reply, 500, "Something went wrong. Please try again later or contact support.");
      return true;
    case "garbage":
      reply
        .code(fault.on === "create" ? 201 : 200)
        .type("application/json")
        .send('{"id": "trunc');
      return true;
    case "no-capacity":
      sendProblem(
        reply,
        400,
        "There are no longer any instances available with the requested specifications. Please refresh and try again.",
      );
      return true;
    case "no-funds":
      sendNoFunds(reply, 402);
      return true;
    case "rate-limited":
      reply.headers({ "retry-after": fault.retryAfterSec, ratelimit: `"minute";r=0;t=${fault.retryAfterSec}` });
      sendProblem(reply, 429, "rate limit exceeded");
      return true;
    case "reset":
      reply.hijack();
      await delay(fault.afterMs, undefined, { signal: closing }).catch(() => undefined);
      reply.raw.socket?.resetAndDestroy();
      return true;
    default:
      return false;
  }
}
