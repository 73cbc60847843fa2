import { randomUUID } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { signedUpdateId } from "../contract/pool-api.ts";

/** A fresh id for an update, which says who sends it from which machine. */
export function ownUpdateId(): string {
  return signedUpdateId(`${userName()}@${hostname()}`, randomUUID());
}

/** A container may run as a number without a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.() ?? "unknown"}`;
  }
}
