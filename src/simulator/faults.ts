import { setTimeout as delay } from "node:timers/promises";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import type { CreateVariation } from "./fleet.ts";
import { NO_CAPACITY, NO_FREE_GPU, sendNoFunds, sendProblem } from "./problems.ts";

const ms = z.number().int().min(0);
const times = z.number().int().min(1).default(1);
const error = { kind: z.literal("error"), times };
const reset = { kind: z.literal("reset"), afterMs: ms.default(0), times };
const garbage = { kind: z.literal("garbage"), times };
/** The true answer, but only after this time. */
const late = { kind: z.literal("late"), afterMs: ms, times };
/** This answer in place of the true one. */
const answer = { kind: z.literal("answer"), status: z.number().int().min(200).max(599), body: z.unknown(), times };
const rateLimited = {
  kind: z.literal("rate-limited"),
  retryAfterSec: z.number().min(0).default(1),
  /** The window that is used up; the others have room. */
  window: z.enum(["minute", "hour", "day"]).default("minute"),
  times,
};

/** Fields that every later answer shows in place of the true ones. */
const fields = z.record(z.string(), z.unknown());

/** The fault waits for the pod of this name. */
const named = { podName: z.string().optional() };

const onCreatePod = { on: z.literal("create") };
const onCreate = { on: z.enum(["create", "volume-create", "registry-create"]) };
/** `created`: whether what was ordered exists although the answer does not say so; `listLagMs`: time until lists show it. */
const hidden = { created: z.boolean(), listLagMs: ms.optional() };
const onList = { on: z.enum(["list", "volume-list", "registry-list"]) };
const onRead = {
  on: z.enum([
    "list",
    "get",
    "logs",
    "gpus",
    "data-centers",
    "volume-list",
    "volume-get",
    "registry-list",
    "registry-get",
    "billing",
    "limits",
    "balance",
  ]),
};
const onLogs = { on: z.literal("logs") };
const onChange = { on: z.enum(["delete", "action", "volume-update", "volume-delete", "registry-delete"]) };
/** Whether the order was carried out although the answer does not say so. */
const done = { done: z.boolean().default(false) };

/** A fault for the next `times` requests of the kind `on`. Faults of one kind of request apply in order. */
export const faultSchema = z.union([
  z.strictObject({ ...onCreate, ...error, ...hidden }),
  z.strictObject({ ...onCreate, ...reset, ...hidden }),
  z.strictObject({ ...onCreate, ...garbage, ...hidden }),
  z.strictObject({ ...onCreate, ...rateLimited }),
  z.strictObject({ ...onCreate, ...late }),
  z.strictObject({ ...onCreate, ...answer }),
  z.strictObject({ ...onCreate, kind: z.literal("no-funds"), times }),
  z.strictObject({ ...onCreate, kind: z.literal("list-lag"), listLagMs: ms, times }),
  z.strictObject({ ...onCreatePod, kind: z.literal("no-capacity"), times }),
  z.strictObject({ ...onCreatePod, kind: z.literal("mute"), ...named, times }),
  z.strictObject({
    ...onCreatePod,
    kind: z.literal("odd-fields"),
    fields,
    ...named,
    mute: z.boolean().default(false),
    times,
  }),
  z.strictObject({ ...onList, kind: z.literal("odd-entries"), entries: z.array(z.unknown()), times }),
  z.strictObject({ ...onRead, ...error }),
  z.strictObject({ ...onRead, ...reset }),
  z.strictObject({ ...onRead, ...garbage }),
  z.strictObject({ ...onRead, ...rateLimited }),
  z.strictObject({ ...onRead, ...late }),
  z.strictObject({ ...onRead, ...answer }),
  z.strictObject({
    ...onLogs,
    kind: z.literal("drop"),
    afterEvents: z.number().int().min(0),
    afterMs: ms.default(0),
    times,
  }),
  z.strictObject({ ...onLogs, kind: z.literal("odd-events"), text: z.string(), times }),
  z.strictObject({ ...onChange, ...error, ...done }),
  z.strictObject({ ...onChange, ...reset, ...done }),
  z.strictObject({ ...onChange, ...rateLimited }),
  z.strictObject({ ...onChange, ...late }),
  z.strictObject({ ...onChange, ...answer, ...done }),
  z.strictObject({ on: z.literal("action"), kind: z.enum(["no-capacity", "no-funds"]), times }),
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

/** The three windows of the quota, as the provider's example shows them. */
function windowsOf({ window, retryAfterSec }: { window: string; retryAfterSec: number }): string {
  const room = { minute: "r=50;t=20", hour: "r=2900;t=1800", day: "r=49000;t=43200" };
  return Object.entries({ ...room, [window]: `r=0;t=${Math.ceil(retryAfterSec)}` })
    .map(([name, left]) => `"${name}";${left}`)
    .join(", ");
}

function isFor(fault: Fault, podName: string | undefined): boolean {
  return !("podName" in fault) || fault.podName === undefined || fault.podName === podName;
}

/** How a create request varies under the fault; null when no pod is made. */
export function creationUnder(fault: Fault | undefined): CreateVariation | null {
  if (fault === undefined || fault.kind === "late") {
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

/**
 * Takes the next fault of this kind of request and sends its answer; false when the true answer is to be sent.
 * @param act what the request orders; done under a fault that says so.
 */
export async function isFaulted(
  { faults, closing }: { readonly faults: Faults; readonly closing: AbortSignal },
  on: FaultyCall,
  reply: FastifyReply,
  act: () => void | Promise<void> = () => undefined,
): Promise<boolean> {
  const fault = faults.take(on);
  if (fault && "done" in fault && fault.done) {
    await act();
  }
  return answerFault(fault, reply, closing);
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
        .code(fault.on.endsWith("create") ? 201 : 200)
        .type("application/json")
        .send('{"id": "trunc');
      return true;
    case "no-capacity":
      sendProblem(reply, 400, fault.on === "action" ? NO_FREE_GPU : NO_CAPACITY);
      return true;
    case "no-funds":
      sendNoFunds(reply, 402);
      return true;
    case "rate-limited":
      reply.headers({ "retry-after": fault.retryAfterSec, ratelimit: windowsOf(fault) });
      sendProblem(reply, 429, "rate limit exceeded");
      return true;
    case "answer":
      reply.code(fault.status).send(fault.body);
      return true;
    case "late":
      await delay(fault.afterMs, undefined, { signal: closing }).catch(() => undefined);
      return false;
    case "reset":
      reply.hijack();
      await delay(fault.afterMs, undefined, { signal: closing }).catch(() => undefined);
      reply.raw.socket?.resetAndDestroy();
      return true;
    default:
      return false;
  }
}
