import { Transform } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";

export interface BodyBounds {
  readonly bytes: number;
  /** From the first byte to the last. */
  readonly ms: number;
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
 * Bounds size and time of every body that comes to the routes of this scope: 413 for a larger one, before any of it is read if its
 * length is stated, and 408 for a slower one. A parser or proxy gets what fits, and an error in place of the rest.
 */
export function boundBodies(app: FastifyInstance, { bytes, ms }: BodyBounds): void {
  const tooLarge = () => new BodyRefusal(413, `The body is larger than ${bytes} bytes`);
  app.addHook("onRequest", async (request, reply) => {
    if (Number(request.headers["content-length"] ?? 0) > bytes) {
      reply.header("connection", "close");
      throw tooLarge();
    }
  });
  app.addHook("preParsing", async (request, reply, payload) => {
    let received = 0;
    const bounded = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        received += chunk.length;
        Object.assign(bounded, { receivedEncodedLength: received });
        if (received > bytes) {
          cut(tooLarge());
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
    const timer = setTimeout(() => cut(new BodyRefusal(408, `The body did not arrive within ${ms} ms`)), ms);
    bounded.once("close", () => clearTimeout(timer));
    bounded.once("end", () => clearTimeout(timer));
    // Nobody reads the body of a GET.
    reply.raw.once("close", () => clearTimeout(timer));
    payload.once("error", (error) => bounded.destroy(error));
    return payload.pipe(bounded);
  });
}
