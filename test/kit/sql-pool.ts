import pg from "pg";

/**
 * Connections to a test's own database. That it is dropped or its server stopped, also while `end()` is still closing
 * sockets, is no failure of a test: what is asked of a broken connection fails by itself.
 */
export function openSqlPool(connectionString: string, max: number): pg.Pool {
  return new pg.Pool({ connectionString, max }).on("error", () => undefined);
}
