import type { FastifyReply } from "fastify";
import type { z } from "zod";

const TITLES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  409: "Conflict",
  422: "Unprocessable Entity",
  429: "Too Many Requests",
  500: "Internal Server Error",
};

export const NO_CAPACITY =
  "There are no longer any instances available with the requested specifications. Please refresh and try again.";
export const NO_FREE_GPU = "start pod: There are not enough free GPUs on the host machine to start this pod.";

export interface FieldError {
  readonly location: string;
  readonly message: string;
}

/** Answers with `application/problem+json`, the form of all errors of REST v2. */
export function sendProblem(
  reply: FastifyReply,
  status: number,
  detail: string,
  errors?: readonly FieldError[],
): FastifyReply {
  return reply
    .code(status)
    .type("application/problem+json")
    .send({ title: TITLES[status] ?? "Error", status, detail, ...(errors ? { errors } : {}) });
}

export function sendNoFunds(reply: FastifyReply, status: number): FastifyReply {
  return sendProblem(reply, status, "Your account balance is too low to rent a pod. Please add funds to your account.");
}

/** Answers 422 and names each wrong field, without its value. */
export function sendInvalid(reply: FastifyReply, error: z.ZodError, root: "body" | "query"): FastifyReply {
  const errors = error.issues.flatMap((issue) =>
    issue.code === "unrecognized_keys"
      ? issue.keys.map((key) => ({
          location: [root, ...issue.path, key].join("."),
          message: "unexpected property",
        }))
      : [{ location: [root, ...issue.path].join("."), message: issue.message }],
  );
  return sendProblem(reply, 422, "validation failed", errors);
}
