import { describe, expect, it } from "vitest";
import { script } from "../../kit/runpod-answers.ts";
import { createPod, podRequest, startKit } from "../../kit/simulator.ts";

const HOUR_MS = 3_600_000;
const START_MS = Date.parse("2026-11-22T22:00:00Z");
const READ_FAULTS = ["error", "reset", "garbage", "rate-limited"] as const;

async function startClocked() {
  const clock = { ms: START_MS };
  const kit = await startKit({ now: () => clock.ms, settings: { provisioningMs: 60_000 } });
  return { ...kit, clock };
}

describe("what pods cost", () => {
  it("is shown by pod and day, with the sum of all, and for one pod", async () => {
    const { clock, ...kit } = await startClocked();
    const first = await createPod(kit, "main-00000001");
    clock.ms += 3 * HOUR_MS;
    const second = await createPod(kit, "main-00000002");
    await kit.client.deletePod(first);
    clock.ms += 2 * HOUR_MS;
    const list = await kit.client.listPodBilling({ lastBuckets: 2 });
    const day = { from: "2026-11-23T00:00:00Z", to: "2026-11-24T00:00:00Z" };
    expect(list).toMatchObject({
      kind: "complete",
      records: [
        { id: first, from: "2026-11-22T00:00:00Z", to: "2026-11-23T00:00:00Z", usd: expect.closeTo(2 * 0.69) },
        { id: first, ...day, usd: expect.closeTo(0.69) },
        { id: second, ...day, usd: expect.closeTo(2 * 0.69) },
      ],
      totalUsd: expect.closeTo(5 * 0.69),
    });
    const hours = await kit.client.listPodBilling({ id: second, bucketSize: "hour", from: "2026-11-23T02:00:00Z" });
    expect(hours).toMatchObject({ records: [{ id: second, from: "2026-11-23T02:00:00Z", usd: expect.closeTo(0.69) }] });
    for (const bucketSize of ["week", "month", "year"] as const) {
      expect(await kit.client.listPodBilling({ bucketSize })).toMatchObject({ totalUsd: expect.closeTo(5 * 0.69) });
    }
  });

  it("is unknown after a failure, and says which field is wrong", async () => {
    const { simulator, client } = await startKit();
    for (const kind of READ_FAULTS) {
      simulator.addFault({ on: "billing", kind });
      expect(await client.listPodBilling()).toMatchObject({ kind: "unknown", detail: expect.stringContaining("pods") });
    }
    expect(await client.listPodBilling({ lastBuckets: 1, from: "2026-11-22T00:00:00Z" })).toMatchObject({
      kind: "unknown",
      reason: "invalid",
    });
    expect(await client.listPodBilling({ from: "yesterday" })).toMatchObject({
      detail: expect.stringContaining("query.startTime"),
    });
  });

  it("invariant 17: keeps records with odd fields, and never believes an amount below zero", async () => {
    const { simulator, client } = await startKit();
    const records = [null, { podId: 7, totalAmount: -1, startTime: "0001" }, { podId: "p1", totalAmount: "0.5" }];
    const body = { records, metadata: { totals: { totalAmount: {} } } };
    simulator.addFault({ on: "billing", kind: "answer", status: 200, body });
    const unknown = { id: null, from: null, to: null, usd: null };
    expect(await client.listPodBilling()).toEqual({
      kind: "complete",
      records: [unknown, unknown, { ...unknown, id: "p1", usd: 0.5 }],
      totalUsd: null,
    });
  });
});

describe("what network volumes cost", () => {
  it("follows their size, until they are deleted", async () => {
    const { clock, client } = await startClocked();
    const made = await client.createVolume({ name: "models", sizeGb: 100, dataCenterId: "EU-RO-1" });
    const id = made.kind === "created" ? made.volume.id : "";
    clock.ms += HOUR_MS;
    await client.updateVolume(id, { sizeGb: 200 });
    clock.ms += HOUR_MS;
    await client.deleteVolume(id);
    clock.ms += 48 * HOUR_MS;
    expect(await client.listVolumeBilling({ id })).toMatchObject({
      records: [{ id, usd: expect.closeTo((300 * 0.07) / 730, 5) }],
    });
    expect(await client.listVolumeBilling({ id: "another" })).toEqual({ kind: "complete", records: [], totalUsd: 0 });
  });
});

describe("the limits of the account", () => {
  it("are shown with what all pods cost now, and a create request beyond them is refused for lack of funds", async () => {
    const kit = await startKit({ settings: { provisioningMs: 60_000, spendLimitUsdPerHour: 1 } });
    await createPod(kit, "main-00000001");
    expect(await kit.client.getAccountLimits()).toEqual({
      kind: "found",
      limits: { spendLimitUsdPerHour: 1, spendUsdPerHour: 0.69 },
    });
    expect(await kit.client.createPod(podRequest("main-00000002"))).toMatchObject({
      kind: "refused",
      reason: "funds",
      detail: expect.stringContaining("spend limit of $1 per hour"),
    });
  });

  it("are understood as a number too, absent where the provider has none, and unknown after a failure", async () => {
    const { simulator, client } = await startKit();
    const answers = [
      [200, { spendRate: 80 }, { kind: "found", limits: { spendLimitUsdPerHour: 80, spendUsdPerHour: null } }],
      [200, { spendRate: { limit: "lots" } }, { limits: { spendLimitUsdPerHour: null, spendUsdPerHour: null } }],
      [200, { limits: [] }, { kind: "unknown", detail: expect.stringContaining("no spendRate") }],
      [403, { detail: "account:read" }, { kind: "unknown", reason: "forbidden" }],
      [404, {}, { kind: "absent" }],
    ] as const;
    for (const [status, body, expected] of answers) {
      simulator.addFault({ on: "limits", kind: "answer", status, body });
      expect(await client.getAccountLimits()).toMatchObject(expected);
    }
    for (const kind of READ_FAULTS) {
      simulator.addFault({ on: "limits", kind });
      expect(await client.getAccountLimits()).toMatchObject({ kind: "unknown" });
    }
  });
});

describe("the balance of the account", () => {
  it("falls by what the pods cost", async () => {
    const { clock, ...kit } = await startClocked();
    kit.simulator.configure({ creditUsd: 1 });
    await createPod(kit, "main-00000001");
    clock.ms += 2 * HOUR_MS;
    expect(await kit.client.getBalance()).toEqual({
      kind: "found",
      balance: { balanceUsd: expect.closeTo(1 - 2 * 0.69), spendUsdPerHour: 0.69, spendLimitUsdPerHour: null },
    });
  });

  it("is asked for beside the version of the address, without the key in it", async () => {
    const { client, seen } = await script({ status: 200, body: { data: { myself: { clientBalance: "7.5" } } } });
    expect(await client.getBalance()).toMatchObject({ balance: { balanceUsd: 7.5, spendUsdPerHour: null } });
    expect(seen).toEqual(["POST /graphql"]);
  });

  it("is absent once the older API is gone, and unknown after a failure or an error with status 200", async () => {
    const { simulator, client } = await startKit();
    const answers = [
      [410, {}, { kind: "absent" }],
      [404, {}, { kind: "absent" }],
      [200, { data: { myself: null } }, { kind: "unknown", detail: expect.stringContaining("no account") }],
      [200, { errors: [{ message: "Unauthorized request" }] }, { kind: "unknown", reason: "unauthorized" }],
      [200, { errors: [{ message: "Something went wrong" }], data: null }, { detail: expect.stringContaining("went") }],
      [503, {}, { kind: "unknown" }],
    ] as const;
    for (const [status, body, expected] of answers) {
      simulator.addFault({ on: "balance", kind: "answer", status, body });
      expect(await client.getBalance()).toMatchObject(expected);
    }
    for (const kind of READ_FAULTS) {
      simulator.addFault({ on: "balance", kind });
      expect(await client.getBalance()).toMatchObject({ kind: "unknown" });
    }
  });
});
