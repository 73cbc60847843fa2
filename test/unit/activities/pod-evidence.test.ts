import { describe, expect, it } from "vitest";
import { podEvidenceBook } from "../../../src/activities/pod-evidence.ts";
import { loadConfig } from "../../../src/config/config.ts";
import type { ListPodsOutcome } from "../../../src/runpod/outcomes.ts";
import type { Pod } from "../../../src/runpod/types.ts";
import type { ReadWorker } from "../../../src/supabase/observation.ts";
import { idle, spawning } from "../../kit/policy.ts";

/** A complete list of these pods, each with its status. */
function listOf(pods: Readonly<Record<string, string>>): ListPodsOutcome {
  const unsaid = { gpuTypeId: null, costPerHour: null, createdAt: null, startedAt: null, uptimeSec: null, env: null };
  const listed = Object.entries(pods).map(([id, status]): Pod => ({ id, name: `name of ${id}`, status, ...unsaid }));
  return { kind: "complete", pods: listed };
}

const EMPTY = listOf({});
const RUNNING = listOf({ pod: "RUNNING" });
const UNKNOWN: ListPodsOutcome = { kind: "unknown", detail: "502 from the provider" };
const ABSENT = { kind: "absent" };

const ready: ReadWorker = idle({ id: "ready", podId: "pod" });
const boots: ReadWorker = spawning({ id: "boots", podId: "pod" });

/** The evidence about the worker that a new book gives after each of these lists. */
function after(worker: ReadWorker, ...lists: readonly ListPodsOutcome[]) {
  const book = podEvidenceBook("ours");
  return lists.map((list) => {
    book.note([worker], list);
    return book.of(worker);
  });
}

describe("a pod that the provider lists", () => {
  it("has the status that the latest list shows", () => {
    expect(after(ready, RUNNING, listOf({ other: "RUNNING", pod: "EXITED" }))).toEqual([
      { kind: "listed", status: "RUNNING" },
      { kind: "listed", status: "EXITED" },
    ]);
  });

  it("is evidence only about its own worker", () => {
    const book = podEvidenceBook("ours");
    const [other, none] = [idle({ podId: "other" }), spawning({ podId: null })];
    book.note([ready, other, none], listOf({ pod: "RUNNING", stranger: "ERROR" }));
    book.note([ready, other, none], RUNNING);
    expect([ready, other, none].map((worker) => book.of(worker))).toEqual([
      { kind: "listed", status: "RUNNING" },
      ABSENT,
      null,
    ]);
    expect(book.of(idle({ podId: "stranger" }))).toBeNull();
  });
});

describe("a pod that the provider's lists lack", () => {
  it("is absent when two complete lists in a row lack it; after one list nothing is known, not even its old status", () => {
    expect(after(ready, RUNNING, EMPTY, EMPTY, EMPTY).slice(1)).toEqual([null, ABSENT, ABSENT]);
    expect(after(boots, RUNNING, EMPTY, EMPTY).slice(1)).toEqual([null, ABSENT]);
  });

  it("is not absent while it boots and was never listed, however many lists lack it, because lists lag behind creation", () => {
    const lists = Array.from({ length: 20 }, () => EMPTY);
    expect(after(boots, ...lists)).toEqual(lists.map(() => null));
  });

  it("is absent by two new lists after a restart of this process, if its worker was ready once", () => {
    expect(after(ready, EMPTY, EMPTY)).toEqual([null, ABSENT]);
  });

  it("is absent only by lists after its worker became ready", () => {
    const book = podEvidenceBook("ours");
    book.note([boots], EMPTY);
    book.note([boots], EMPTY);
    book.note([ready], EMPTY);
    expect(book.of(ready)).toBeNull();
    book.note([ready], EMPTY);
    expect(book.of(ready)).toEqual(ABSENT);
  });

  it("is present when a list shows it again, and then two lists are needed again", () => {
    expect(after(ready, RUNNING, EMPTY, RUNNING, EMPTY, EMPTY, RUNNING, EMPTY)).toEqual([
      { kind: "listed", status: "RUNNING" },
      null,
      { kind: "listed", status: "RUNNING" },
      null,
      ABSENT,
      { kind: "listed", status: "RUNNING" },
      null,
    ]);
  });

  it("is noticed within a minute at the default pace", () => {
    const { provider } = loadConfig({
      SUPABASE_URL: "http://127.0.0.1:1",
      SUPABASE_ANON_KEY: "anon",
      SUPABASE_SERVICE_ROLE_KEY: "service",
      RUNPOD_API_KEY: "key",
    });
    const needed = after(ready, RUNNING, EMPTY, EMPTY, EMPTY).findIndex((evidence) => evidence?.kind === "absent");
    expect(needed * provider.podListSec).toBeLessThan(60);
  });
});

describe("a list that is unknown", () => {
  it("is never taken for an empty one", () => {
    expect(after(ready, UNKNOWN, UNKNOWN, UNKNOWN)).toEqual([null, null, null]);
    expect(after(ready, RUNNING, EMPTY, UNKNOWN, UNKNOWN).slice(1)).toEqual([null, null, null]);
  });

  it("changes nothing: a status stays, an absence stays, and the count goes on", () => {
    expect(after(ready, RUNNING, UNKNOWN)[1]).toEqual({ kind: "listed", status: "RUNNING" });
    expect(after(ready, EMPTY, EMPTY, UNKNOWN)[2]).toEqual(ABSENT);
    expect(after(ready, EMPTY, UNKNOWN, EMPTY)[2]).toEqual(ABSENT);
  });
});

describe("a worker that is no longer known", () => {
  it("is forgotten: earlier evidence about its pod does not count for a later worker", () => {
    const book = podEvidenceBook("ours");
    book.note([boots], RUNNING);
    book.note([], RUNNING);
    expect(book.of(boots)).toBeNull();
    for (const _list of [1, 2, 3]) {
      book.note([boots], EMPTY);
    }
    expect(book.of(boots)).toBeNull();
    book.note([ready], EMPTY);
    book.note([], EMPTY);
    book.note([ready], EMPTY);
    expect(book.of(ready)).toBeNull();
  });

  it("is not forgotten while the list is unknown", () => {
    const book = podEvidenceBook("ours");
    book.note([ready], RUNNING);
    book.note([], UNKNOWN);
    expect(book.of(ready)).toEqual({ kind: "listed", status: "RUNNING" });
  });
});

it("invariant 14: a pod with the id of another deployment is no evidence, neither of life nor of absence", () => {
  const foreign: ListPodsOutcome = {
    kind: "complete",
    pods: [...(RUNNING.kind === "complete" ? RUNNING.pods : [])].map((pod) => ({
      ...pod,
      env: { GPU_POOL_DEPLOYMENT: "theirs" },
    })),
  };
  expect(after(ready, foreign, foreign, foreign)).toEqual([null, null, null]);
  // Its absence counts from the first list that proves it.
  expect(after(ready, EMPTY, foreign, EMPTY, EMPTY)).toEqual([null, null, null, ABSENT]);
});
