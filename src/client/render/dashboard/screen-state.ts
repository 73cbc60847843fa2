import type { Dashboard } from "../../../contract/dashboard.ts";

/** What an operator orders from the dashboard: of the pool, or of one worker. */
export type Order =
  | { readonly kind: "pause" | "resume" | "drain" }
  | { readonly kind: "drainWorker" | "terminateWorker"; readonly worker: string };

/** What the operator has done on the screen. */
export interface ScreenState {
  /** Place of the chosen worker in the fleet. */
  readonly cursor: number;
  readonly filter: string;
  /** A filter that is being typed; null: none is. */
  readonly typed: string | null;
  /** An order that waits for a yes. */
  readonly asked: Order | null;
  /** What became of the last order; empty: there was none. */
  readonly said: string;
}

export const FIRST_STATE: ScreenState = { cursor: 0, filter: "", typed: null, asked: null, said: "" };

/** The keys that Ink tells apart. */
export interface Key {
  readonly upArrow?: boolean;
  readonly downArrow?: boolean;
  readonly pageUp?: boolean;
  readonly pageDown?: boolean;
  readonly return?: boolean;
  readonly escape?: boolean;
  readonly backspace?: boolean;
  readonly delete?: boolean;
  readonly ctrl?: boolean;
}

export interface Pressed {
  readonly state: ScreenState;
  /** What the key asks for besides; null: nothing. */
  readonly effect: { readonly quit: true } | { readonly order: Order } | null;
}

const PAGE = 10;

/** The state after a key. @param input the characters of the key; several at once where text is pasted. */
export function press(state: ScreenState, { fleet }: Pick<Dashboard, "fleet">, input: string, key: Key): Pressed {
  const only = (changed: Partial<ScreenState>): Pressed => ({ state: { ...state, ...changed }, effect: null });
  if (key.ctrl === true && input === "c") {
    return { state, effect: { quit: true } };
  }
  if (state.asked !== null) {
    return input === "y"
      ? { state: { ...state, asked: null, said: "…" }, effect: { order: state.asked } }
      : only({ asked: null, said: "not agreed: nothing was ordered" });
  }
  if (state.typed !== null) {
    return type(state.typed, input, key, only);
  }
  const last = Math.max(0, fleet.length - 1);
  const to = (cursor: number) => only({ cursor: Math.min(last, Math.max(0, cursor)) });
  const cursor = Math.min(last, state.cursor);
  if (key.upArrow === true || input === "k") {
    return to(cursor - 1);
  }
  if (key.downArrow === true || input === "j") {
    return to(cursor + 1);
  }
  if (key.pageUp === true || key.pageDown === true) {
    return to(cursor + (key.pageUp === true ? -PAGE : PAGE));
  }
  if (key.escape === true) {
    return only({ filter: "", said: "", cursor: 0 });
  }
  return input === "q" ? { state, effect: { quit: true } } : only(letter(input, fleet[cursor]?.id) ?? {});
}

function type(typed: string, input: string, key: Key, only: (changed: Partial<ScreenState>) => Pressed): Pressed {
  if (key.return === true) {
    return only({ typed: null, filter: typed, cursor: 0 });
  }
  if (key.escape === true) {
    return only({ typed: null });
  }
  if (key.backspace === true || key.delete === true) {
    return only({ typed: typed.replace(/.$/su, "") });
  }
  // Pasted or typed fast, Enter comes with the text.
  const [line = "", ...rest] = input.split(/[\r\n]/);
  return rest.length === 0 ? only({ typed: typed + line }) : only({ typed: null, filter: typed + line, cursor: 0 });
}

function letter(input: string, worker: string | undefined): Partial<ScreenState> | null {
  switch (input) {
    case "/":
      return { typed: "" };
    case "p":
      return { asked: { kind: "pause" } };
    case "r":
      return { asked: { kind: "resume" } };
    case "D":
      return { asked: { kind: "drain" } };
    case "d":
      return worker === undefined ? null : { asked: { kind: "drainWorker", worker } };
    case "t":
      return worker === undefined ? null : { asked: { kind: "terminateWorker", worker } };
    default:
      return null;
  }
}

/** The question before an order. */
export function questionOf(order: Order, pool: string): string {
  switch (order.kind) {
    case "pause":
      return `pause pool ${pool}: no scaling either way until resume?`;
    case "resume":
      return `resume pool ${pool}: the policy decides its size?`;
    case "drain":
      return `drain pool ${pool}: all its workers end after their tasks?`;
    case "drainWorker":
      return `drain worker ${order.worker}: it ends after its task?`;
    case "terminateWorker":
      return `terminate worker ${order.worker}: its task goes back to the queue?`;
  }
}
