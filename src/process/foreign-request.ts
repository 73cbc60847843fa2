import type { IncomingHttpHeaders } from "node:http";

const OWN_NAMES = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/**
 * Why a server of this machine must refuse a request, or null. A web page of elsewhere reaches 127.0.0.1 in two ways: its
 * browser sends the page's own `Origin`, or its DNS resolves the page's own name, which is then in `Host`, to 127.0.0.1.
 */
export function foreignRequest({ host, origin }: Pick<IncomingHttpHeaders, "host" | "origin">): string | null {
  const own = parse(`http://${host ?? ""}`);
  if (own === null || !OWN_NAMES.test(own.hostname)) {
    return "this server answers only at 127.0.0.1 or localhost: the Host of the request is another";
  }
  if (origin !== undefined && parse(origin)?.host !== own.host) {
    return "this server takes no requests from web pages of other origins";
  }
  return null;
}

function parse(url: string): URL | null {
  try {
    return new URL(url);
  } catch {
    return null;
  }
}
