const PRIVATE_NAMES = /(^|\.)(localhost|local|internal|lan|home|intranet|test|invalid)$/;

/** Whether the address names this machine or a private network, so that a rented machine cannot reach what is there. */
export function isPrivateAddress(url: string): boolean {
  // The parser has brought every spelling of an IPv4 address, such as 127.1 or 0x7f000001, into four numbers.
  const host = new URL(url).hostname.replace(/\.$/, "").toLowerCase();
  if (host.startsWith("[")) {
    return isPrivateIpv6(host.slice(1, -1));
  }
  const numbers = /^(\d+)\.(\d+)\.\d+\.\d+$/.exec(host);
  if (numbers !== null) {
    return isPrivateIpv4(Number(numbers[1]), Number(numbers[2]));
  }
  return !host.includes(".") || PRIVATE_NAMES.test(host);
}

function isPrivateIpv4(a: number, b: number): boolean {
  return (
    [0, 10, 127].includes(a) ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168)
  );
}

function isPrivateIpv6(host: string): boolean {
  // An IPv4 address within IPv6, which the parser writes as ::ffff:7f00:1.
  const mapped = /^::ffff:([0-9a-f]{1,4}):[0-9a-f]{1,4}$/.exec(host)?.[1];
  if (mapped !== undefined) {
    const high = Number.parseInt(mapped, 16);
    return isPrivateIpv4(high >> 8, high & 255);
  }
  return host === "::" || host === "::1" || /^f[cd][0-9a-f]{2}:|^fe[89ab][0-9a-f]:/.test(host);
}
