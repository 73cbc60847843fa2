/*
 * How text is cut and made storable, for every process: workflows, Temporal worker, GPU worker and edge functions. This
 * file imports nothing, so that it runs everywhere.
 */

const DEEPEST_LEVELS = 500;
const LONGEST_CHARS = 20_000_000;
const REPLACEMENT = "\ufffd";
/** Postgres stores no NUL; half a surrogate pair is no character in UTF-8. */
const UNSTORABLE = /\0|\p{Surrogate}/gu;

/** A value that the database cannot take. `field`: where it is, such as `p_task.params`. */
export class UnstorableError extends Error {
  override readonly name = "UnstorableError";
  readonly field: string;
  /** Such as `is nested too deeply`. */
  readonly why: string;

  constructor(field: string, why: string) {
    super(`${field} ${why}`);
    this.field = field;
    this.why = why;
  }
}

/** The first `longest` UTF-16 units of a text; one less where a character of two units would be halved. */
export function cut(text: string, longest: number): string {
  const isHalved = text.length > longest && isFirstHalf(text.charCodeAt(longest - 1));
  return text.slice(0, isHalved ? longest - 1 : longest);
}

/** Like `cut`, with the last units of a text. */
export function cutToEnd(text: string, longest: number): string {
  const from = Math.max(0, text.length - longest);
  return text.slice(from > 0 && isFirstHalf(text.charCodeAt(from - 1)) ? from + 1 : from);
}

/** Like `cut`, with an ellipsis that says so. */
export function shorten(text: string, longest: number): string {
  return text.length > longest ? `${cut(text, longest)}…` : text;
}

/** A value as JSON for people, shortened. Never throws. */
export function shortJson(value: unknown, longest: number): string {
  try {
    return shorten(JSON.stringify(value) ?? "nothing", longest);
  } catch {
    // The stack of this process is too small for so many levels.
    return "a value that is nested too deeply to be shown";
  }
}

/**
 * Controls of both sets, line and paragraph separators, and the format characters of which some turn the direction of
 * text and others are not seen. The two joiners stay: scripts and emoji need them.
 */
const HIDDEN = /[\p{Cc}\u2028\u2029]+|(?![\u200c\u200d])\p{Cf}|[\u115f\u1160\u3164\uffa0]/gu;

/** The text as one line of characters that are seen: a space for controls, nothing for other hidden characters. */
export function withoutHidden(text: string): string {
  return text
    .replace(HIDDEN, (hidden) => (/^[\p{Cc}\u2028\u2029]/u.test(hidden) ? " " : ""))
    .replace(/\p{Surrogate}/gu, REPLACEMENT);
}

/** The same JSON with hidden characters as \\u escapes, which every reader of JSON reads back. */
export function escapedJson(json: string): string {
  return json.replace(/[\u007f-\u009f\u2028\u2029\p{Cf}\u115f\u1160\u3164\uffa0]/gu, (hidden) =>
    hidden
      .split("")
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}

/** The text with U+FFFD for each character that Postgres refuses. */
export function storableText(text: string): string {
  return text.replace(UNSTORABLE, REPLACEMENT);
}

/**
 * A copy of a JSON value that Postgres accepts: texts and names as by `storableText`.
 * @throws UnstorableError when it is nested deeper than 500 levels, or when its texts have more than 20 million characters.
 */
export function storable<T>(value: T): T {
  let chars = 0;

  function copyText(text: string, place: Place | null): string {
    chars += text.length;
    if (chars > LONGEST_CHARS) {
      throw new UnstorableError(nameOf(place), `is too long: at most ${LONGEST_CHARS} characters can be stored`);
    }
    return storableText(text);
  }

  function copy(part: unknown, place: Place | null): unknown {
    if (typeof part === "string") {
      return copyText(part, place);
    }
    if (typeof part !== "object" || part === null) {
      return part;
    }
    if (place !== null && place.level > DEEPEST_LEVELS) {
      throw new UnstorableError(nameOf(place), `is nested too deeply: at most ${DEEPEST_LEVELS} levels can be stored`);
    }
    if ("toJSON" in part && typeof part.toJSON === "function") {
      return copy(part.toJSON(), inside(place, "value"));
    }
    if (Array.isArray(part)) {
      return part.map((item, index) => copy(item, inside(place, String(index))));
    }
    const entries = Object.entries(part).map(([name, item]) => [
      copyText(name, place),
      copy(item, inside(place, name)),
    ]);
    return Object.fromEntries(entries) as object;
  }

  return copy(value, null) as T;
}

/** Whether a JSON text opens more than so many lists and objects in each other. */
export function isNestedDeeper(json: string, levels: number): boolean {
  let level = 0;
  let isText = false;
  for (let at = 0; at < json.length; at += 1) {
    const letter = json[at];
    if (isText) {
      at += letter === "\\" ? 1 : 0;
      isText = letter !== '"';
    } else if (letter === '"') {
      isText = true;
    } else if (letter === "[" || letter === "{") {
      level += 1;
      if (level > levels) {
        return true;
      }
    } else if (letter === "]" || letter === "}") {
      level -= 1;
    }
  }
  return false;
}

/** Whether a value read from JSON holds a number beyond those of JavaScript, as `1e400`: as JSON again, it would be null. */
export function holdsInfinity(value: unknown): boolean {
  const left = [value];
  while (left.length > 0) {
    const part = left.pop();
    if (typeof part === "number" && !Number.isFinite(part)) {
      return true;
    }
    if (typeof part === "object" && part !== null) {
      // One by one: as arguments of one call, many would exhaust the stack.
      for (const item of Object.values(part)) {
        left.push(item);
      }
    }
  }
  return false;
}

interface Place {
  readonly name: string;
  readonly level: number;
  readonly outer: Place | null;
}

function inside(outer: Place | null, name: string): Place {
  return { name, level: (outer?.level ?? 0) + 1, outer };
}

/** The two outermost names: enough to find it, and never long. */
function nameOf(place: Place | null): string {
  const names: string[] = [];
  for (let at = place; at !== null; at = at.outer) {
    if (at.level <= 2) {
      names.unshift(shorten(storableText(at.name), 60));
    }
  }
  return names.join(".") || "the value";
}

function isFirstHalf(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
