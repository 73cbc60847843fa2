import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { jwtVerify, SignJWT } from "jose";

/** A project's secret and the keys of its two roles, of both kinds that a hosted project has: JWTs and opaque keys. */
export interface Keys {
  readonly jwtSecret: string;
  readonly anonKey: string;
  readonly serviceRoleKey: string;
  /** The opaque key with the role of `anonKey`. */
  readonly publishableKey: string;
  /** The opaque key with the role of `serviceRoleKey`. */
  readonly secretKey: string;
}

/** The parts of a request that may hold keys. */
export interface KeyedRequest {
  readonly headers: IncomingHttpHeaders;
  readonly query: unknown;
}

/** The answer to a request without a usable key, in the exact words of hosted Supabase. */
export interface KeyProblem {
  readonly message: string;
  readonly hint: string;
}

/** The permission in a signed storage URL: one verb on one object. */
export interface ObjectGrant {
  readonly scope: "upload" | "download";
  readonly url: string;
  readonly upsert: boolean;
}

export interface GatewayAuth {
  /** The 401 answer for a request without a known `apikey` (header or query); null when it has one. */
  keyProblem(request: KeyedRequest): KeyProblem | null;
  /** Like `keyProblem`, but an `Authorization` header alone is enough. */
  callerProblem(request: KeyedRequest): KeyProblem | null;
  /** The `Authorization` to forward: the caller's, else its key as bearer. The JWT of its role replaces an opaque key. */
  authorization(request: KeyedRequest): string;
  /** True for a valid service-role token, false for any other valid token. Throws on a forged or expired one. */
  isServiceRole(request: KeyedRequest): Promise<boolean>;
  /** Signs a grant that expires after `lifetimeSec` seconds. */
  signGrant(grant: ObjectGrant, lifetimeSec: number): Promise<string>;
  /** Reads a signed grant. Throws when the token is forged or expired, or is no grant. */
  readGrant(token: string): Promise<ObjectGrant>;
}

const KEY_LIFETIME = "3650d";
const SECRET_BYTES = 32;

const NO_KEY: KeyProblem = {
  message: "No API key found in request",
  hint: "No `apikey` request header or url param was found.",
};
const WRONG_KEY: KeyProblem = {
  message: "Invalid API key",
  hint: "Double check your Supabase `anon` or `service_role` API key.",
};

function randomText() {
  return randomBytes(SECRET_BYTES).toString("base64url");
}

/** Completes `found`: a new secret, the two keys signed with it, valid for ten years, and the two opaque keys. */
export async function makeKeys(found: Partial<Keys> = {}): Promise<Keys> {
  const jwtSecret = found.jwtSecret ?? randomText();
  const secret = new TextEncoder().encode(jwtSecret);
  const sign = (role: string): Promise<string> =>
    new SignJWT({ iss: "supabase", ref: "local", role })
      .setProtectedHeader({ alg: "HS256", typ: "JWT" })
      .setIssuedAt()
      .setExpirationTime(KEY_LIFETIME)
      .sign(secret);
  return {
    jwtSecret,
    anonKey: found.anonKey ?? (await sign("anon")),
    serviceRoleKey: found.serviceRoleKey ?? (await sign("service_role")),
    publishableKey: found.publishableKey ?? `sb_publishable_${randomText()}`,
    secretKey: found.secretKey ?? `sb_secret_${randomText()}`,
  };
}

function givenKey(request: KeyedRequest): string | null {
  const header = request.headers["apikey"];
  if (typeof header === "string" && header !== "") {
    return header;
  }
  const query = (request.query as Record<string, unknown>)["apikey"];
  return typeof query === "string" && query !== "" ? query : null;
}

function bearerOf({ headers }: KeyedRequest): string | null {
  return headers.authorization?.replace(/^Bearer\s+/i, "") ?? null;
}

/** Identifies callers of the gateway by one project's keys. */
export function createGatewayAuth(keys: Keys): GatewayAuth {
  const secret = new TextEncoder().encode(keys.jwtSecret);
  const roleTokens = new Map([
    [keys.anonKey, keys.anonKey],
    [keys.serviceRoleKey, keys.serviceRoleKey],
    [keys.publishableKey, keys.anonKey],
    [keys.secretKey, keys.serviceRoleKey],
  ]);
  const claimsOf = async (token: string): Promise<Record<string, unknown>> =>
    (await jwtVerify(token, secret, { algorithms: ["HS256"] })).payload;

  const keyProblem = (request: KeyedRequest): KeyProblem | null => {
    const key = givenKey(request);
    if (key === null) {
      return NO_KEY;
    }
    const bearer = bearerOf(request);
    // An opaque bearer is no JWT. It is valid only if it repeats the key.
    const isAtOdds = bearer !== null && bearer.startsWith("sb_") && bearer !== key;
    return roleTokens.has(key) && !isAtOdds ? null : WRONG_KEY;
  };
  const authorization = (request: KeyedRequest): string => {
    const { authorization: own } = request.headers;
    const key = givenKey(request) ?? "";
    return own === undefined || bearerOf(request) === key ? `Bearer ${roleTokens.get(key) ?? key}` : own;
  };

  return {
    keyProblem,
    authorization,
    callerProblem: (request) =>
      givenKey(request) === null && request.headers.authorization !== undefined ? null : keyProblem(request),
    async isServiceRole(request) {
      const { role } = await claimsOf(authorization(request).replace(/^Bearer\s+/i, ""));
      // The token of a signed URL also has a valid signature, but names no role.
      if (typeof role !== "string") {
        throw new Error("the token names no role");
      }
      return role === "service_role";
    },
    signGrant: (grant, lifetimeSec) =>
      new SignJWT({ ...grant })
        .setProtectedHeader({ alg: "HS256", typ: "JWT" })
        .setIssuedAt()
        .setExpirationTime(Math.floor(Date.now() / 1000) + lifetimeSec)
        .sign(secret),
    async readGrant(token) {
      const { scope, url, upsert } = await claimsOf(token);
      if ((scope !== "upload" && scope !== "download") || typeof url !== "string") {
        throw new Error("the token was not made for a signed URL");
      }
      return { scope, url, upsert: upsert === true };
    },
  };
}
