// Docker's health check: asks /healthz of the process in this container. Without HEALTH_PORT there is nothing to ask, and
// commands that end by themselves do not serve it, so that is no failure.
const { HEALTH_PORT, HEALTH_HOST } = process.env;
const port = HEALTH_PORT?.trim();
if (port) {
  const host = HEALTH_HOST?.trim();
  const everywhere = !host || host === "0.0.0.0" || host === "::";
  const address = everywhere ? "127.0.0.1" : host.includes(":") ? `[${host}]` : host;
  const url = `http://${address}:${port}/healthz`;
  try {
    const { status } = await fetch(url, { signal: AbortSignal.timeout(4_000) });
    process.stdout.write(`${url}: ${status}\n`);
    process.exitCode = status === 200 ? 0 : 1;
  } catch (error) {
    process.stdout.write(`${url}: ${error.cause?.message ?? error.message}\n`);
    process.exitCode = 1;
  }
}
