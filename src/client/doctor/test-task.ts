import { randomUUID } from "node:crypto";
import { countTasksAs } from "../../supabase/project/project-check.ts";
import { externalStore } from "../../supabase/external-store.ts";
import { taskStore } from "../../supabase/task-store.ts";
import { makeCredential } from "../../activities/pod-request.ts";
import { failed, type Finding, ok, reasonOf } from "./finding.ts";
import type { Subject } from "./subject.ts";

const TOKEN_LIFETIME_SEC = 60;
/** Some frames, so that any worker is done with it at once. */
const SMALL = { prompt: "a test of gpu-pool doctor", frames: 9, fps: 8, width: 64, height: 64 };

/** Puts one small task in the queue, where it stays, and shows that a worker's token opens the functions. */
export async function createTestTask(subject: Subject): Promise<Finding[]> {
  return [await queueTask(subject), await tryToken(subject)];
}

async function queueTask({ database, pool }: Subject): Promise<Finding> {
  const tasks = taskStore(database);
  const id = randomUUID();
  try {
    await tasks.submit([{ id, pool, task_type: "generate_video", params: SMALL }]);
    const row = await tasks.find(id);
    return row?.status === "Queued" && row.gate === "open"
      ? ok("task", `${id} waits in pool ${pool}; gpu-pool task show ${id.slice(0, 8)} tells how it goes`)
      : failed(
          "task",
          `${id} was stored, but no worker may claim it: status ${row?.status ?? "gone"}, gate ${row?.gate ?? "none"}`,
          `gpu-pool task show ${id.slice(0, 8)}`,
        );
  } catch (error) {
    return failed("task", reasonOf(error), "Check the schema: gpu-pool db status.");
  }
}

/** A worker of its own for a moment: it sends nothing, so no pool counts it. */
async function tryToken({ database, config, pool }: Subject): Promise<Finding> {
  const workers = externalStore(database);
  const id = `doctor-${randomUUID().slice(0, 8)}`;
  const { token, hash } = makeCredential();
  try {
    await workers.register({ id, pool, tokenHash: hash, lifetimeSec: TOKEN_LIFETIME_SEC, machine: "doctor" });
    const probe = { url: config.supabase.url, publicKey: config.supabase.anonKey };
    const { status, text } = await countTasksAs(probe, token);
    await workers.remove(id, "the test is over");
    return status === 200
      ? ok("worker token", "a worker's own token opens the functions")
      : failed("worker token", `a worker's own token gets HTTP ${status} (${text})`, "Deploy the functions again.");
  } catch (error) {
    return failed("worker token", reasonOf(error), `Is there a pool ${pool}? gpu-pool pool list`);
  }
}
