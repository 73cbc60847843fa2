import type { FastifyInstance, FastifyRequest } from "fastify";
import type { GatewayAuth, Keys } from "./auth.ts";

const WAITING = 256;

/** Calls of one credential beyond those that may wait. */
class TooManyCalls extends Error {
  readonly statusCode = 429;
}

/** The credentials of a call, in one order for all calls, so that two never wait for each other. A caller may send several. */
function credentialsOf(request: FastifyRequest, bearer: string, publicKey: string): readonly string[] {
  const own = ["x-api-token", "x-worker-token"].flatMap((name) => request.headers[name] ?? []);
  // Everybody has the public key.
  return [...new Set(bearer === publicKey && own.length > 0 ? own : [bearer, ...own])];
}

/**
 * Lets each credential have `atOnce` calls under way, and some more in a queue; others get 429. PostgREST has few connections to the
 * database, and a caller whose calls are slow would take them all. The service key takes what it wants; the public key is nobody's own.
 */
export function shareFairly(
  app: FastifyInstance,
  auth: GatewayAuth,
  { anonKey, serviceRoleKey }: Pick<Keys, "anonKey" | "serviceRoleKey">,
  atOnce: number,
): void {
  const places = new Map<string, { used: number; readonly queue: (() => void)[] }>();
  const leave = (credential: string): void => {
    const place = places.get(credential)!;
    const next = place.queue.shift();
    if (next !== undefined) {
      next();
      return;
    }
    place.used -= 1;
    if (place.used === 0) {
      places.delete(credential);
    }
  };
  const enter = async (credential: string): Promise<void> => {
    const place = places.get(credential) ?? { used: 0, queue: [] };
    places.set(credential, place);
    if (place.used < atOnce) {
      place.used += 1;
      return;
    }
    if (place.queue.length >= WAITING) {
      throw new TooManyCalls(
        `More than ${atOnce} calls of one credential are under way, and ${WAITING} wait (limit GATEWAY_CALLS_AT_ONCE)`,
      );
    }
    await new Promise<void>((resolve) => place.queue.push(resolve));
  };

  app.addHook("onRequest", async (request, reply) => {
    const held: string[] = [];
    let isOver = false;
    reply.raw.once("close", () => {
      isOver = true;
      held.forEach(leave);
    });
    const bearer = auth.authorization(request).replace(/^Bearer\s+/i, "");
    const isKnown = bearer === anonKey || bearer === serviceRoleKey;
    if (isKnown ? bearer === serviceRoleKey : await auth.isServiceRole(request).catch(() => false)) {
      return;
    }
    for (const credential of credentialsOf(request, bearer, anonKey)) {
      await enter(credential);
      if (isOver) {
        leave(credential);
        throw new TooManyCalls("The caller has gone");
      }
      held.push(credential);
    }
  });
}
