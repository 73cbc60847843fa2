import type { FastifyRequest } from "fastify";

const CALLS = "rpc";
/** Of the names of one call's arguments. PostgREST compares unknown ones with all it knows, in a time that grows as their square. */
const NAMES_BYTES = 4096;
/** Keys and elements of one body that an edge function reads here. Thrice as many hold up everybody for a second. */
const VALUES = 30_000;

const [QUOTE, COMMA, COLON, OPEN_LIST, BACKSLASH, CLOSE_LIST, OPEN, CLOSE] = Buffer.from(
  '",:[\\]{}',
) as unknown as number[];

/**
 * Counts in a JSON text that arrives in pieces: the bytes of the names in its object, or in the objects of its list, and
 * its keys and elements at all levels, roughly.
 */
function createCounter(): (chunk: Buffer) => { readonly nameBytes: number; readonly values: number } {
  const at = { depth: 0, names: 0, inText: false, inName: false, isEscaped: false, nameNext: false };
  const counts = { nameBytes: 0, values: 0 };
  return (chunk) => {
    for (let place = 0; place < chunk.length; place += 1) {
      const byte = chunk[place];
      if (at.inText) {
        counts.nameBytes += at.inName ? 1 : 0;
        at.inText = at.isEscaped || byte !== QUOTE;
        at.isEscaped = !at.isEscaped && byte === BACKSLASH;
      } else if (byte === QUOTE) {
        [at.inText, at.inName] = [true, at.nameNext];
      } else if (byte === OPEN || byte === OPEN_LIST) {
        at.depth += 1;
        counts.values += 1;
        at.names ||= byte === OPEN ? 1 : 2;
        at.nameNext = at.depth === at.names;
      } else if (byte === CLOSE || byte === CLOSE_LIST) {
        at.depth -= 1;
        at.nameNext = false;
      } else if (byte === COMMA) {
        counts.values += 1;
        at.nameNext = at.depth === at.names;
      } else if (byte === COLON) {
        at.nameNext = false;
      }
    }
    return counts;
  };
}

/** PostgREST decodes the parts of a path. */
function isCall(request: FastifyRequest): boolean {
  try {
    return decodeURIComponent(request.url.split("?")[0]!).split("/").includes(CALLS);
  } catch {
    return true;
  }
}

/** Looks at the body of a call of a database function, chunk by chunk. Answers why it is refused; null: it is not, so far. */
export function argumentNames(request: FastifyRequest): ((chunk: Buffer) => string | null) | undefined {
  if (!isCall(request)) {
    return undefined;
  }
  const isTooLong = createNameCheck(request);
  return (chunk) =>
    isTooLong(chunk) ? `The names of the arguments are longer than ${NAMES_BYTES} bytes together` : null;
}

function createNameCheck(request: FastifyRequest): (chunk: Buffer) => boolean {
  // A form or a table has the names in its text; they are not told apart from the rest, and nobody sends one.
  if (/urlencoded|csv/i.test(request.headers["content-type"] ?? "")) {
    let bytes = 0;
    return (chunk) => (bytes += chunk.length) > NAMES_BYTES;
  }
  const count = createCounter();
  return (chunk) => count(chunk).nameBytes > NAMES_BYTES;
}

/** The same for the body of an edge function, which is read in this process. */
export function valuesOfBody(): (chunk: Buffer) => string | null {
  const count = createCounter();
  return (chunk) => (count(chunk).values > VALUES ? `The body has more than ${VALUES} keys and elements` : null);
}
