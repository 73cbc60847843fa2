import { createHmac } from "node:crypto";
import { Agent, request } from "undici";
import { allowedAddresses, answering, isPublicAddress, type Resolve, resolveHost } from "../net/addresses.ts";
import { Refusal, Unavailable } from "../net/refusal.ts";
import { unlessAborted } from "../runpod/exchange.ts";
import { slackText } from "./slack-text.ts";
import type { Notification } from "../supabase/outbox-store.ts";

const TIMEOUT_MS = 10_000;

export interface Receivers {
  /** Whether notifications may go to this machine and to private networks. */
  readonly allowsPrivate: boolean;
  readonly resolve?: Resolve;
}

/**
 * One attempt to deliver: a signed POST of JSON, in the endpoint's format. It connects to the address that was checked, whatever the
 * name gives later. Redirects are not followed.
 * @returns null if the endpoint accepted it (2xx), else the problem, without the address, which may hold a secret.
 */
export async function sendNotification(
  notification: Notification,
  signal: AbortSignal,
  receivers: Receivers,
): Promise<string | null> {
  const { id, kind, payload, createdAt, url, secret, format } = notification;
  const body = JSON.stringify(
    format === "slack"
      ? { text: slackText(kind, payload) }
      : { event: kind, delivery: String(id), created_at: createdAt, ...payload },
  );
  const headers = {
    "content-type": "application/json",
    "user-agent": "gpu-pool",
    "x-gpupool-event": kind,
    "x-gpupool-delivery": String(id),
    "x-gpupool-signature": signature(secret, Math.floor(Date.now() / 1000), body),
  };
  // AbortSignal.any over AbortSignal.timeout would not do: Node 20 may collect such a timeout before it fires.
  const ending = new AbortController();
  const stop = () => ending.abort(signal.reason);
  const timer = setTimeout(() => ending.abort(new DOMException("no answer", "TimeoutError")), TIMEOUT_MS);
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    const isAllowed = receivers.allowsPrivate ? () => true : isPublicAddress;
    const checked = allowedAddresses(new URL(url), isAllowed, receivers.resolve ?? resolveHost);
    const dispatcher = new Agent({ connect: { lookup: answering(await unlessAborted(checked, ending.signal)) } });
    try {
      const sent = request(url, { method: "POST", headers, body, signal: ending.signal, dispatcher });
      const answer = await unlessAborted(sent, ending.signal);
      await answer.body.dump({ limit: 65_536 }).catch(() => undefined);
      return answer.statusCode >= 200 && answer.statusCode < 300 ? null : `HTTP ${answer.statusCode}`;
    } finally {
      await dispatcher.destroy();
    }
  } catch (error) {
    if (error instanceof Refusal) {
      return "its address is not of the public internet; NOTIFICATIONS_ALLOW_PRIVATE=true allows such addresses";
    }
    if (error instanceof Unavailable) {
      return "its name could not be resolved";
    }
    const { name, code } = error as Error & { code?: string };
    return name === "TimeoutError" ? `no answer within ${TIMEOUT_MS / 1000} s` : `no answer (${code ?? name})`;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

/** `t=<Unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`. A receiver should refuse an old t, and compare v1 in constant time. */
function signature(secret: string, atSec: number, body: string): string {
  return `t=${atSec},v1=${createHmac("sha256", secret).update(`${atSec}.${body}`).digest("hex")}`;
}
