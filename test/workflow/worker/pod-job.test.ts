import { WorkflowFailedError } from "@temporalio/client";
import { describe, expect, it } from "vitest";
import { createdUnrecorded, type FakeRow, lost, lostWithPod, refused } from "../../kit/workflow/fake-fleet.ts";
import { type Stage, until } from "../../kit/workflow/fake-service.ts";
import { gate, withKit } from "../../kit/workflow/kit.ts";
import type { ActivityName } from "../../kit/workflow/fake-activities.ts";

let count = 0;
function nextId({ pool }: Stage): string {
  return `${pool}-${(++count).toString(16).padStart(8, "0")}`;
}

/** The row of a job, as soon as its pod is there. */
async function withPod(kit: Stage, id: string): Promise<FakeRow> {
  await until(
    () => kit.rows.get(id)?.podId ?? null,
    (podId) => expect(podId).not.toBeNull(),
  );
  return kit.rows.get(id) as FakeRow;
}

/** The pod reports the end of its job. */
function report(kit: Stage, row: FakeRow, state: "done" | "failed", error: string | null = null): void {
  kit.beat(row);
  row.job = { purpose: "spawn-test", timeoutSec: 600, state, error };
}

function expectNothingLeft(kit: Stage, id: string): void {
  expect(kit.pods.size).toBe(0);
  expect(kit.rows.get(id)?.goneMs).not.toBeNull();
}

describe.concurrent("a pod that is rented for one job", () => {
  it(
    "is created once, and deleted as soon as it reports that the job is done",
    withKit(async (kit) => {
      const id = nextId(kit);
      const job = await kit.startJob(id);
      report(kit, await withPod(kit, id), "done");
      expect(await job.result()).toEqual({ id, state: "done", reason: null });
      expectNothingLeft(kit, id);
      expect(kit.rows.get(id)?.status).toBe("terminated");
      expect(kit.called("createPod")).toHaveLength(1);
    }),
  );

  it(
    "is deleted after a failure, and the failure is the answer",
    withKit(async (kit) => {
      const id = nextId(kit);
      const job = await kit.startJob(id);
      report(kit, await withPod(kit, id), "failed", "the volume is full");
      expect(await job.result()).toEqual({ id, state: "failed", reason: "the volume is full" });
      expectNothingLeft(kit, id);
      expect(kit.rows.get(id)).toMatchObject({ status: "error", statusReason: "its job failed: the volume is full" });
    }),
  );

  it(
    "is not rented where the ceilings do not allow it",
    withKit(async (kit) => {
      const id = nextId(kit);
      kit.refusesJobs = "$7.90 an hour of at most $8";
      const job = await kit.startJob(id);
      expect(await job.result()).toEqual({ id, state: "refused", reason: "$7.90 an hour of at most $8" });
      expect(kit.called("createPod")).toEqual([]);
    }),
  );

  it(
    "ends at its deadline, whatever it reports until then",
    withKit(async (kit) => {
      const id = nextId(kit);
      const job = await kit.startJob(id, { timeoutSec: 2 });
      kit.beat(await withPod(kit, id));
      expect(await job.result()).toMatchObject({ state: "failed", reason: "its job was not done within 2 s" });
      expectNothingLeft(kit, id);
    }),
  );

  it(
    "ends if it never reports anything",
    withKit(
      async (kit) => {
        const id = nextId(kit);
        const job = await kit.startJob(id);
        expect(await job.result()).toMatchObject({
          state: "failed",
          reason: expect.stringContaining("no report 2 s after"),
        });
        expectNothingLeft(kit, id);
      },
      { spawningTimeoutSec: 2 },
    ),
  );

  it(
    "ends if its container has ended or the provider has lost it",
    withKit(async (kit) => {
      for (const [status, reason] of [
        ["EXITED", "its pod is EXITED, and its job was not done"],
        ["absent", "its pod is gone, and its job was not done"],
      ] as const) {
        const id = nextId(kit);
        kit.podStatus = status;
        const job = await kit.startJob(id);
        expect(await job.result()).toMatchObject({ state: "failed", reason });
        expectNothingLeft(kit, id);
      }
    }),
  );

  it(
    "ends by an order or a cancel",
    withKit(async (kit) => {
      const [ordered, cancelled] = [nextId(kit), nextId(kit)];
      const one = await kit.startJob(ordered);
      const other = await kit.startJob(cancelled);
      await withPod(kit, ordered);
      await withPod(kit, cancelled);
      await one.signal("terminate", { reason: "no longer wanted" });
      await other.cancel();
      expect(await one.result()).toMatchObject({ state: "failed", reason: "no longer wanted" });
      await expect(other.result()).rejects.toThrow(WorkflowFailedError);
      expectNothingLeft(kit, ordered);
      expectNothingLeft(kit, cancelled);
    }),
  );
});

describe.concurrent("a pod that is rented for one job leaks nothing", () => {
  it.each<[string, (kit: Stage) => void, "done" | "failed"]>([
    ["the answer is lost behind it", (kit) => kit.createAnswers.push(lostWithPod), "done"],
    ["the answer is lost and nothing was created", (kit) => kit.createAnswers.push(lost), "failed"],
    ["its id is not recorded", (kit) => kit.createAnswers.push(createdUnrecorded), "done"],
    ["it is refused for good", (kit) => kit.createAnswers.push(refused("invalid", false)), "failed"],
  ])("where its creation goes wrong: %s", async (_name, plan, state) => {
    await withKit(async (kit) => {
      const id = nextId(kit);
      plan(kit);
      const job = await kit.startJob(id);
      if (state === "done") {
        report(kit, await withPod(kit, id), "done");
      }
      expect(await job.result()).toMatchObject({ state });
      expectNothingLeft(kit, id);
      expect(kit.called("createPod")).toHaveLength(1);
    })();
  });

  const steps: ActivityName[] = ["reservePodJob", "loadWorker", "checkBoot", "drainWorker", "removePod", "workerGone"];
  it.each(steps)("where the first %s fails", async (step) => {
    await withKit(async (kit) => {
      const id = nextId(kit);
      let fails = true;
      kit.hooks[step] = () => {
        if (fails) {
          fails = false;
          throw new Error("the process was killed");
        }
      };
      const job = await kit.startJob(id);
      report(kit, await withPod(kit, id), "done");
      expect(await job.result()).toMatchObject({ state: "done" });
      expect(fails).toBe(false);
      expectNothingLeft(kit, id);
    })();
  });

  it(
    "where an order finds no workflow, and the pool starts one for a worker",
    withKit(async (kit) => {
      const { id } = kit.book({ job: { purpose: "spawn-test", timeoutSec: 600, state: "running", error: null } });
      const worker = await kit.startWorker(id);
      report(kit, await withPod(kit, id), "done");
      expect(await worker.result()).toEqual({ id, status: "terminated", reason: null });
      expectNothingLeft(kit, id);
    }),
  );

  // createPod is not among them: a terminated workflow leaves the row as posting, which the create tests show.
  const stops: ActivityName[] = ["loadWorker", "checkBoot", "drainWorker", "removePod", "workerGone"];
  it.each(stops)("where its workflow is terminated at %s and the janitor starts it again", async (stop) => {
    await withKit(async (kit) => {
      const id = nextId(kit);
      const { passed, open } = gate();
      let reached = false;
      kit.hooks[stop] = async () => {
        reached = true;
        await passed;
      };
      const first = await kit.startJob(id);
      if (stop !== "loadWorker") {
        report(kit, await withPod(kit, id), "done");
      }
      await until(
        () => reached,
        (now) => expect(now).toBe(true),
      );
      await first.terminate("killed by the test");
      open();
      const second = await kit.startJob(id, null);
      if (stop === "loadWorker") {
        report(kit, await withPod(kit, id), "done");
      }
      expect(await second.result()).toMatchObject({ state: "done" });
      expectNothingLeft(kit, id);
      expect(kit.called("createPod")).toHaveLength(1);
    })();
  });
});
