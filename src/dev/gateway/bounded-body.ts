import { type Readable, Transform } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";

export interface BodyBounds {
  readonly bytes: number;
  /** From the first byte to the last. */
  readonly ms: number;
  /** A look at each chunk, which answers why the body is refused, or null. */
  readonly inspect?: (request: FastifyRequest) => ((chunk: Buffer) => string | null) | undefined;
}

/** The body was cut, because it was too large or too slow. Fastify answers with its `statusCode`. */
class BodyRefusal extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(message);
    this.statusCode = statusCode;
  }
}

const refused = new WeakMap<FastifyRequest, BodyRefusal>();

/** Why the body of this request was cut; undefined: it was not. */
export function refusalOf(request: FastifyRequest): BodyRefusal | undefined {
  return refused.get(request);
}

/**
 * Reads what is left of a body. The next request of its connection begins when it was read, which nobody does who has answered
 * already.
 */
function drain(payload: Readable, most: number): void {
  let left = most;
  payload.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) {
      payload.destroy();
    }
  });
  payload.resume();
}

/** Refuses what was cut before its handler. A stream that has failed already tells nobody who begins to read it. */
async function throwRefusal(request: FastifyRequest): Promise<void> {
  const refusal = refused.get(request);
  if (refusal !== undefined) {
    throw refusal;
  }
}

/**
 * Bounds size and time of every body that comes to the routes of this scope: 413 for a larger one, before any of it is read if its
 * length is stated, and 408 for a slower one. A parser or proxy gets what fits, and an error in place of the rest.
 */
export function boundBodies(app: FastifyInstance, { bytes, ms, inspect }: BodyBounds): void {
  const tooLarge = () => new BodyRefusal(413, `The body is larger than ${bytes} bytes`);
  app.addHook("onRequest", async (request, reply) => {
    if (Number(request.headers["content-length"] ?? 0) > bytes) {
      reply.header("connection", "close");
      throw tooLarge();
    }
  });
  app.addHook("preParsing", async (request, reply, payload) => {
    const problemOf = inspect?.(request);
    let received = 0;
    const bounded = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        received += chunk.length;
        Object.assign(bounded, { receivedEncodedLength: received });
        const problem = problemOf?.(chunk) ?? null;
        if (received > bytes) {
          cut(tooLarge());
        } else if (problem !== null) {
          cut(new BodyRefusal(400, problem));
        } else {
          done(null, chunk);
        }
      },
    });
    const cut = (refusal: BodyRefusal): void => {
      refused.set(request, refusal);
      // The rest is not read: the connection ends with the answer.
      if (!reply.sent) {
        reply.header("connection", "close");
      }
      payload.unpipe(bounded);
      bounded.destroy(refusal);
    };
    // A route that does not read its body has nobody to hear of it.
    bounded.on("error", () => undefined);
    const late = new BodyRefusal(408, `The body did not arrive within ${ms} ms`);
    const timer = setTimeout(() => (reply.sent ? request.raw.destroy() : cut(late)), ms);
    payload.once("end", () => clearTimeout(timer));
    payload.once("close", () => clearTimeout(timer));
    reply.raw.once("close", () => {
      if (!refused.has(request)) {
        payload.unpipe(bounded);
        drain(payload, bytes - received);
      }
    });
    payload.once("error", (error) => bounded.destroy(error));
    return payload.pipe(bounded);
  });
  app.addHook("preHandler", throwRefusal);
}
