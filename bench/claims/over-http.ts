import { createHash, randomBytes } from "node:crypto";
import { Pool } from "undici";
import { freePort } from "../../src/dev/servers/free-port.ts";
import { startPostgrest } from "../../src/dev/servers/postgrest.ts";
import { type Bed, CLIENTS, type Server } from "./bed.ts";
import { type Claim, type Finish, requireCompleted } from "./work.ts";

/** The calls through PostgREST, as a GPU worker makes them: keep-alive, the public role, a token for each worker. */
export async function httpCalls({ guardian, logger }: Server, { authenticatorUrl, sql, workers }: Bed) {
  const tokens = workers.map(() => `gpw_${randomBytes(32).toString("base64url")}`);
  await sql.query(
    `update workers set token_hash = given.hash, token_expires_at = now() + interval '1 day'
     from unnest($1::text[], $2::text[]) as given (id, hash) where workers.id = given.id`,
    [workers, tokens.map((token) => createHash("sha256").update(token).digest("hex"))],
  );
  const postgrest = await startPostgrest({
    guardian,
    logger,
    databaseUrl: authenticatorUrl,
    jwtSecret: randomBytes(32).toString("hex"),
    port: await freePort(),
  });
  const http = new Pool(postgrest.url, { connections: CLIENTS, pipelining: 1 });
  const ask = async (client: number, name: string, args: object) => {
    const { statusCode, body } = await http.request({
      method: "POST",
      path: `/rpc/${name}`,
      headers: { "content-type": "application/json", "x-worker-token": tokens[client]! },
      body: JSON.stringify(args),
    });
    if (statusCode !== 200) {
      throw new Error(`${name} was answered ${statusCode}: ${await body.text()}`);
    }
    return (await body.json()) as { task: { task_id: string; lease_token: string } | null; outcome: string };
  };
  const claim: Claim = async (client) => (await ask(client, "claim_task", { p_worker_id: workers[client] })).task;
  const finish: Finish = async (client, { task_id: p_task_id, lease_token: p_lease_token }) =>
    requireCompleted(
      await ask(client, "finish_task", {
        p_task_id,
        p_lease_token,
        p_storage_path: null,
        p_output_location: null,
        p_result: {},
      }),
    );
  return { claim, finish, close: () => http.close() };
}
