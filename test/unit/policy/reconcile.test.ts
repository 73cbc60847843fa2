import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { WorkerFinding } from "../../../src/contract/upkeep.ts";
import {
  reconcile,
  type Stock,
  type StockPod,
  type StockRow,
  type StockWorkflow,
} from "../../../src/policy/reconcile.ts";

const NOW_MS = 1_000_000;
const SETTLE_MS = 10_000;
const WORKER = "main-0a1b2c3d";
const LONG_AGO = new Map([
  ["pod", NOW_MS - SETTLE_MS],
  ["twin/pod", NOW_MS - SETTLE_MS],
  [`workflow/${WORKER}`, NOW_MS - SETTLE_MS],
]);
const ENDING = new Set(["bury", "end", "drain"]);

function pod(overrides: Partial<StockPod> = {}): StockPod {
  return { id: "pod", name: WORKER, isMarked: true, isTerminated: false, ...overrides };
}

function row(overrides: Partial<StockRow> = {}): StockRow {
  const base = { id: WORKER, pool: "main", status: "active", origin: "pool", podId: "pod", postState: "posted" };
  return { ...base, gone: false, ...overrides };
}

function flow(state: StockWorkflow["state"] = "running", status: string = state): [string, StockWorkflow] {
  return [WORKER, { pool: "main", state, status }];
}

function stock(overrides: Partial<Stock> = {}): Stock {
  return {
    nowMs: NOW_MS,
    pods: [],
    workflows: new Map(),
    rows: [],
    pools: ["main"],
    sightings: new Map(),
    settleMs: SETTLE_MS,
    room: 5,
    ...overrides,
  };
}

function verdicts(given: Partial<Stock>): string[] {
  return reconcile(stock(given)).map(({ verdict }) => verdict);
}

const ended = row({ status: "terminated", gone: true });
const burned = row({ status: "error", postState: "burned", podId: null, gone: true });

describe("what agrees", () => {
  const workflows = new Map([flow()]);

  it("is kept: pod, row and workflow; a worker without a pod yet; a pod that the provider calls terminated", () => {
    expect(verdicts({ pods: [pod()], rows: [row()], workflows })).toEqual(["kept"]);
    expect(verdicts({ rows: [row({ status: "spawning", podId: null, postState: null })], workflows })).toEqual([
      "kept",
    ]);
    expect(verdicts({ pods: [pod({ isTerminated: true })] })).toEqual([]);
  });

  it("covers the pod of a job as that of a worker: kept, started again, adopted, buried", () => {
    const job = row({ origin: "job" });
    expect(verdicts({ pods: [pod()], rows: [job], workflows })).toEqual(["kept"]);
    expect(verdicts({ pods: [pod()], rows: [job], workflows: new Map([flow("missing")]) })).toEqual(["start"]);
    const unrecorded = { ...job, podId: null, postState: "posting" };
    expect(verdicts({ pods: [pod()], rows: [unrecorded], workflows })).toContain("adopt");
    const gone = { ...job, status: "terminated", gone: true };
    expect(verdicts({ pods: [pod()], rows: [gone], sightings: LONG_AGO })).toEqual(["bury"]);
  });

  it("includes a pod that was renamed by hand: its row knows it by its id", () => {
    expect(verdicts({ pods: [pod({ name: "renamed" })], rows: [row()], workflows })).toEqual(["kept"]);
  });

  it("includes the pod of a spawning worker, whose own workflow waits for the answer to its request", () => {
    const posting = row({ status: "spawning", podId: null, postState: "posting" });
    expect(verdicts({ pods: [pod()], rows: [posting], workflows })).toEqual(["kept"]);
  });
});

describe("a pod without a living row", () => {
  it.each([
    ["its row was deleted", []],
    ["its worker has ended", [ended]],
    ["its name was burned", [burned]],
  ])("is ended when it was seen twice, a settle time apart: %s", (_, rows) => {
    const seen = (ms: number) => new Map([["pod", NOW_MS - ms]]);
    expect(verdicts({ pods: [pod()], rows })).toEqual(["wait"]);
    expect(verdicts({ pods: [pod()], rows, sightings: seen(SETTLE_MS - 1) })).toEqual(["wait"]);
    expect(verdicts({ pods: [pod()], rows, sightings: seen(SETTLE_MS) })).toEqual(["bury"]);
  });

  it("is ended with its workflow by one verdict", () => {
    const given = { pods: [pod()], workflows: new Map([flow()]), sightings: LONG_AGO };
    expect(reconcile(stock(given))).toMatchObject([
      { verdict: "bury", workflow: "running", row: null, subject: "pod" },
    ]);
  });

  it("invariant 14: is reported without the mark or without a pool of this database, and a foreign one is not even listed", () => {
    const sightings = LONG_AGO;
    expect(verdicts({ pods: [pod({ isMarked: false })], sightings })).toEqual(["not_ours"]);
    for (const name of ["other-0a1b2c3d", "main", "main-0a1b2c3", "main-0A1B2C3D", "xmain-0a1b2c3d", null]) {
      expect(verdicts({ pods: [pod({ name })], sightings })).toEqual(["not_ours"]);
      expect(verdicts({ pods: [pod({ name, isMarked: false })], sightings })).toEqual([]);
    }
    expect(verdicts({ pods: [pod()], rows: [row({ origin: "external", podId: null })], sightings })).toEqual([
      "not_ours",
    ]);
  });

  it("waits where the limit is used up, burned names first, then ended workers, then those without a row", () => {
    const names = ["main-00000001", "main-00000002", "main-00000003"] as const;
    const pods = names.map((name) => pod({ id: name, name }));
    const rows = [row({ ...ended, id: names[1], podId: null }), row({ ...burned, id: names[2] })];
    const sightings = new Map(names.map((name) => [name, 0]));
    const judged = (room: number) =>
      reconcile(stock({ pods, rows, sightings, room })).map(({ worker, verdict }) => [worker, verdict]);
    expect(judged(2)).toEqual([
      [names[2], "bury"],
      [names[1], "bury"],
      [names[0], "capped"],
    ]);
    expect(judged(0).map(([, verdict]) => verdict)).toEqual(["capped", "capped", "capped"]);
  });
});

describe("a living row", () => {
  const workflows = new Map([flow()]);

  it.each(["active", "terminating", "error"])("learns its pod by name: %s", (status) => {
    const rows = [row({ status, podId: null, postState: "posting" })];
    expect(verdicts({ pods: [pod()], rows, workflows })).toEqual(["adopt"]);
    expect(verdicts({ pods: [pod()], rows, workflows: new Map([flow("missing")]) })).toEqual(["adopt", "start"]);
    expect(verdicts({ pods: [pod({ isMarked: false })], rows, workflows })).toEqual(["not_ours", "kept"]);
  });

  it("gets a workflow when it has none, also when the provider's list is not complete", () => {
    for (const pods of [[pod()], [], null]) {
      const given = { pods, rows: [row()], workflows: new Map([flow("missing", "terminated")]) };
      expect(reconcile(stock(given))).toMatchObject([{ verdict: "start", workflow: "terminated" }]);
    }
  });

  it("is left alone where Temporal does not answer for it, or another task queue has its workflow", () => {
    expect(verdicts({ rows: [row()], workflows: null })).toEqual(["unknown"]);
    expect(verdicts({ rows: [row()], workflows: new Map() })).toEqual(["unknown"]);
    expect(verdicts({ rows: [row()], workflows: new Map([flow("foreign")]) })).toEqual(["not_ours"]);
  });

  it("is drained when a second pod has its name; a burial that is under way takes both", () => {
    const given = (status: string) => ({ pods: [pod()], rows: [row({ status, podId: "first" })], workflows });
    expect(verdicts({ ...given("active") })).toEqual(["wait", "kept"]);
    expect(verdicts({ ...given("active"), sightings: LONG_AGO })).toEqual(["drain", "kept"]);
    expect(verdicts({ ...given("terminating"), sightings: LONG_AGO })).toEqual(["kept", "kept"]);
  });
});

describe("a workflow without a living row", () => {
  it("is ended when it was seen twice, without any pod too", () => {
    const workflows = new Map([flow()]);
    expect(verdicts({ workflows })).toEqual(["wait"]);
    expect(verdicts({ workflows, sightings: LONG_AGO })).toEqual(["bury"]);
    expect(verdicts({ workflows, rows: [ended], sightings: LONG_AGO })).toEqual(["end"]);
    expect(verdicts({ workflows, sightings: LONG_AGO, pools: [] })).toEqual(["not_ours"]);
  });
});

const name = fc.constantFrom("main-00000001", "main-00000002", "other-00000001", "main", null);
const podIds = fc.constantFrom("p1", "p2", "p3");
const pods = fc.uniqueArray(fc.record({ id: podIds, name, isMarked: fc.boolean(), isTerminated: fc.boolean() }), {
  selector: ({ id }) => id,
});
const rows = fc.uniqueArray(
  fc.record({
    id: fc.constantFrom("main-00000001", "main-00000002"),
    pool: fc.constant("main"),
    status: fc.constantFrom("spawning", "active", "terminating", "terminated", "error"),
    origin: fc.constantFrom("pool", "external"),
    podId: fc.option(podIds),
    postState: fc.constantFrom("posting", "posted", "burned", null),
    gone: fc.boolean(),
  }),
  { selector: ({ id }) => id },
);
const workflows = fc
  .uniqueArray(
    fc.tuple(
      fc.constantFrom("main-00000001", "main-00000002", "other-00000001"),
      fc.constantFrom<StockWorkflow["state"]>("running", "missing", "foreign"),
    ),
    { selector: ([id]) => id },
  )
  .map((list) => new Map(list.map(([id, state]) => [id, { pool: id.split("-")[0] ?? "", state, status: state }])));
const subjects = fc.constantFrom("p1", "p2", "p3", "twin/p1", "workflow/main-00000001");
const stocks: fc.Arbitrary<Stock> = fc.record({
  nowMs: fc.constant(NOW_MS),
  pods: fc.option(pods),
  workflows: fc.option(workflows),
  rows,
  pools: fc.constantFrom(["main"], []),
  sightings: fc.array(fc.tuple(subjects, fc.integer({ min: 0, max: NOW_MS }))).map((list) => new Map(list)),
  settleMs: fc.constantFrom(0, SETTLE_MS),
  room: fc.integer({ min: -1, max: 3 }),
});

describe("whatever is seen", () => {
  const ending = (given: Stock): WorkerFinding[] => reconcile(given).filter(({ verdict }) => ENDING.has(verdict));

  it("invariant 14: never ends a pod without our mark or a name of our pools, nor the worker of such a pod alone", () => {
    fc.assert(
      fc.property(stocks, (given) => {
        for (const found of ending(given).filter((one) => one.pod !== null)) {
          const seen = given.pods?.find(({ id }) => id === found.pod);
          expect(seen).toMatchObject({ isMarked: true, isTerminated: false });
          expect(given.pools).toContain(seen?.name?.replace(/-[0-9a-f]{8}$/, ""));
        }
      }),
    );
  });

  it("never ends anything on one sighting, nor more than there is room for", () => {
    fc.assert(
      fc.property(stocks, (given) => {
        const found = ending(given);
        expect(found.length).toBeLessThanOrEqual(Math.max(0, given.room));
        for (const { subject = "" } of found) {
          expect(given.sightings.get(subject) ?? NOW_MS + 1).toBeLessThanOrEqual(NOW_MS - given.settleMs);
        }
        expect(ending({ ...given, sightings: new Map() })).toEqual([]);
      }),
    );
  });

  it("invariant 3: concludes nothing about pods from an incomplete list, nor about workflows from a silent server", () => {
    fc.assert(
      fc.property(stocks, (given) => {
        expect(reconcile({ ...given, pods: null }).filter(({ pod }) => pod !== null)).toEqual([]);
        const withoutTemporal = reconcile({ ...given, workflows: null });
        expect(
          withoutTemporal.filter(({ verdict, pod }) => verdict === "start" || (verdict === "bury" && pod === null)),
        ).toEqual([]);
      }),
    );
  });

  it("never ends what a living row has recorded, and never touches an external worker", () => {
    fc.assert(
      fc.property(stocks, (given) => {
        const owned = given.rows.filter(({ gone, origin }) => !gone && origin === "pool").map(({ podId }) => podId);
        const external = given.rows.filter(({ origin }) => origin === "external").map(({ id }) => id);
        for (const { pod: id, worker, verdict } of ending(given)) {
          expect(id === null || !owned.includes(id)).toBe(true);
          expect(verdict === "end" || !external.includes(worker ?? "")).toBe(true);
        }
      }),
    );
  });
});
