import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { AttackOrder, AttackResult } from "./attack.ts";

/** Attacks from a thread of its own, because the gateway and the claims that are measured run in this one. */
export async function attackFromThread(order: AttackOrder): Promise<AttackResult> {
  const tsx = new URL("../../../../bin/register-tsx.js", import.meta.url).href;
  const thread = new Worker(new URL("./thread.ts", import.meta.url), {
    workerData: order,
    execArgv: ["--import", tsx],
  });
  const [result] = (await once(thread, "message")) as [AttackResult];
  return result;
}
