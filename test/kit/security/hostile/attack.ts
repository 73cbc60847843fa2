import { Agent } from "node:http";
import { send } from "../web-page.ts";
import { diceOf } from "./dice.ts";
import { doorsOf, type Hostile } from "./doors.ts";
import { FAMILIES } from "./payloads.ts";
import type { World } from "./world.ts";

const AT_ONCE = 6;
const LONGEST_WORD = 300;

export interface AttackResult {
  /** Requests by the class of their answer: 2, 3, 4, 5. */
  readonly answers: Readonly<Record<string, number>>;
  /** Each answer that must not be, as a request to repeat: number, door, family, caller. */
  readonly faults: readonly string[];
}

/** Everything that an attack needs, so that a thread of its own can take it. */
export interface AttackOrder extends Pick<World, "prey" | "callers" | "catalog"> {
  readonly api: string;
  readonly simulator: string;
  readonly requests: number;
  /** Null: requests without harm, for comparison. */
  readonly seed: number | null;
}

const HARMLESS: Hostile = {
  method: "POST",
  path: "/rest/v1/rpc/api_caller",
  headers: { "content-type": "application/json" },
  body: "{}",
};

/** Sends requests of every door, family and caller by turns that the seed chooses. */
export async function attack(order: AttackOrder): Promise<AttackResult> {
  const { requests, seed } = order;
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const answers: Record<string, number> = {};
  const faults: string[] = [];
  let next = 0;
  const attacker = async () => {
    while (next < requests) {
      const about = seed === null ? harmlessRequest(order, next) : hostileRequest(order, seed, next);
      next += 1;
      const { at, request, caller } = about;
      const url = `${at === "simulator" ? order.simulator : order.api}${request.path}`;
      const headers = { ...caller.headers, ...request.headers };
      const said = await send(url, { ...request, headers, agent }).then(
        ({ status, body }) => ({ status, text: body.slice(0, 300) }),
        (error: unknown) => ({ status: isCutOff(error) ? 400 : 599, text: String(error) }),
      );
      const kind = String(Math.floor(said.status / 100));
      answers[kind] = (answers[kind] ?? 0) + 1;
      if (said.status >= 500 && said.status !== 503) {
        faults.push(
          `${about.name}: ${request.method} ${request.path.slice(0, 200)} ${(request.body ?? "").slice(0, 300)} → ${said.status} ${said.text}`,
        );
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, attacker));
  agent.destroy();
  return { answers, faults };
}

function harmlessRequest({ callers }: AttackOrder, number: number) {
  return { request: HARMLESS, caller: callers[number % callers.length]!, at: undefined, name: `#${number}, harmless` };
}

/** The request of one number is the same whatever the others do, so that a fault can be repeated alone. */
function hostileRequest({ prey, callers, catalog }: AttackOrder, seed: number, number: number) {
  const dice = diceOf(seed * 1_000_003 + number);
  const doors = doorsOf(catalog);
  const door = dice.pick(doors);
  const family = dice.pick(FAMILIES);
  const caller = dice.pick(callers);
  const value = () => family.json(dice, prey);
  const word = () => wordOf(value(), dice.chance(0.5));
  const request: Hostile = door.request({ dice, prey, value, word });
  return { request, caller, at: door.at, name: `#${number} ${door.name}, ${family.name}, ${caller.name}` };
}

/** A value as a part of an address or a header: encoded, or only without what HTTP itself cannot carry. */
function wordOf(json: string, isEncoded: boolean): string {
  const text = json
    .replace(/^"|"$/g, "")
    .slice(0, LONGEST_WORD)
    .replace(/\p{Surrogate}/gu, "?");
  return isEncoded ? encodeURIComponent(text) : text.replace(/[^\x21-\x7e]/g, "");
}

/** A server may close a connection whose request cannot be read; what was refused so is no fault of its own. */
function isCutOff(error: unknown): boolean {
  return (
    ["ECONNRESET", "EPIPE", "ERR_INVALID_CHAR", "ERR_UNESCAPED_CHARACTERS"].includes(
      (error as { code?: string }).code ?? "",
    ) || /Parse Error/.test(String(error))
  );
}
