import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { jwtVerify, SignJWT } from "jose";

/** A project's secret and what callers show for its two roles, as a hosted project has them: JWTs, and opaque keys. */
export interface Keys {
  jwtSecret: string;
  anonKey: string;
  serviceRoleKey: string;
  /** Stands for `anonKey`. */
  publishableKey: string;
  /** Stands for `serviceRoleKey`. */
  secretKey: string;
}

/** Where a request carries its keys. */
export interface KeyedRequest {
  headers: IncomingHttpHeaders;
  query: unknown;
}

/** What the gateway answers, word for word as the cloud does, when a request has no usable key. */
export interface KeyProblem {
  message: string;
  hint: string;
}

/** What a signed storage URL is good for: one verb on one object. */
export interface ObjectGrant {
  scope: "upload" | "download";
  url: string;
  upsert: boolean;
}

export interface GatewayAuth {
  /** The 401 answer for a request without a known `apikey` (header or query), or null. */
  keyProblem(request: KeyedRequest): KeyProblem | null;
  /** Like `keyProblem`, but an `Authorization` header alone is enough. */
  callerProblem(request: KeyedRequest): KeyProblem | null;
  /** The value to send on as `Authorization`: the caller's own, else its key as a bearer; for an opaque key its role's JWT. */
  authorization(request: KeyedRequest): string;
  /** True for a valid service-role token, false for any other valid token. Throws on a forged or expired one. */
  isServiceRole(request: KeyedRequest): Promise<boolean>;
  /** Signs a grant; `lifetimeSec` seconds from now it is worthless. */
  signGrant(grant: ObjectGrant, lifetimeSec: number): Promise<string>;
  /** Reads a grant back. Throws when the token is forged, expired or was made for something else. */
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

/** Makes a fresh secret, the two keys signed with it, valid for ten years, and the two opaque ones; none that is there. */
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

/** Everything the gateway knows about who is calling, from one project's keys. */
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
    // An opaque bearer is no JWT: it says no more than the key that it repeats, or nothing.
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
      // A signed-URL token carries a valid signature too, but names no role and opens nothing here.
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
