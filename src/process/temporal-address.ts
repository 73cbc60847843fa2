const LOOPBACK = /^(localhost|127(\.\d+){3}|\[?::1\]?)(:\d+)?$/i;

/** What is wrong with an address that has a scheme or a path, which the SDK would take for a name; null: nothing. */
export function addressProblem(address: string | undefined): string | null {
  if (address === undefined || !/[/@\s]/.test(address)) {
    return null;
  }
  const shown = address.replace(/\/\/[^@/]*@/, "//***@").slice(0, 64);
  return `TEMPORAL_ADDRESS=${shown}: expected host:port such as 127.0.0.1:7233, without http:// and without a path`;
}

/** Options of the SDK's client. gRPC would send even what is for this machine to a proxy of the environment. */
export function channelArgsFor(address: string | undefined): { channelArgs?: Record<string, number> } {
  return address === undefined || LOOPBACK.test(address) ? { channelArgs: { "grpc.enable_http_proxy": 0 } } : {};
}

/** The variable by which gRPC takes a proxy to this address; null: it takes none. */
export function proxyVariableFor(address: string, env: Readonly<Record<string, string | undefined>>): string | null {
  const names = ["grpc_proxy", "https_proxy", "http_proxy"];
  return LOOPBACK.test(address) ? null : (names.find((name) => env[name]) ?? null);
}
