import pg from "pg";

/**
 * Connections to a test's own database. Errors of idle connections are ignored: the database may be dropped, or its
 * server stopped, while `end()` still closes sockets. A query on a broken connection still fails.
 */
export function openSqlPool(connectionString: string, max: number): pg.Pool {
  return new pg.Pool({ connectionString, max }).on("error", () => undefined);
}
