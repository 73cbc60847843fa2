import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import type { LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { Refusal, Unavailable } from "./refusal.ts";

/** Every address of a host; for an address that address. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

/** 2000::/3 is all that is assigned to the public; the rest of IPv6 has old forms that stand for IPv4 addresses. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR("2000::/3");

/** Whether an IPv4 or IPv6 address belongs to the public internet. A mapped address counts as what it stands for. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) {
    return false;
  }
  const parsed = ipaddr.process(address);
  return parsed.range() === "unicast" && (parsed.kind() === "ipv4" || parsed.match(GLOBAL_IPV6));
}

export const resolveHost: Resolve = (host) => lookup(host, { all: true, verbatim: true });

/**
 * Resolves a URL's host once. The caller connects to what this answers and asks for no address again, because a name
 * may give another address each time.
 * @throws Refusal when the host has no address that `isAllowed`; Unavailable when it could not be resolved
 */
export async function allowedAddresses(
  url: URL,
  isAllowed: (address: string) => boolean,
  resolve: Resolve,
): Promise<readonly LookupAddress[]> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const found = await resolve(host).catch((error: NodeJS.ErrnoException) => {
    throw new Unavailable(`the name ${host} could not be resolved (${error.code ?? error.message})`);
  });
  const allowed = found.filter(({ address }) => isAllowed(address));
  if (allowed.length === 0) {
    throw new Refusal(`${host} is not an address of the public internet`);
  }
  return allowed;
}

/** Connects to the addresses that were checked, whatever the name would give now. */
export function answering(addresses: readonly LookupAddress[]): LookupFunction {
  const [first] = addresses;
  return (_host, { all }, done) => {
    if (all === true) {
      done(null, [...addresses]);
    } else {
      done(null, first?.address ?? "", first?.family);
    }
  };
}
