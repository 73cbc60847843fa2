import { describe, expect, it } from "vitest";
import { POD, script, type Scripted } from "../../kit/runpod-answers.ts";

describe("listing pods", () => {
  const page = (ids: string[], pagination?: unknown): Scripted => ({
    status: 200,
    body: { pods: ids.map((id) => ({ ...POD, id })), ...(pagination ? { pagination } : {}) },
  });
  const last = { nextCursor: null, hasNextPage: false };

  it("counts a pod only once if it moved to the next page while the list was read", async () => {
    const { client } = await script(
      page(["c", "b"], { nextCursor: "x", hasNextPage: true }),
      page(["b", "a"], { nextCursor: null, hasNextPage: false }),
    );
    const list = await client.listPods();
    expect(list.kind === "complete" && list.pods.map((pod) => pod.id)).toEqual(["c", "b", "a"]);
  });

  it.each([
    ["says that none follows", page(["a"], last), ["a"]],
    ["shows its empty cursor alone", page(["a"], { nextCursor: null }), ["a"]],
    ["is empty", page([]), []],
  ])("ends with a page that %s", async (_, only, ids) => {
    const { client, seen } = await script(only);
    const list = await client.listPods();
    expect(list.kind === "complete" && list.pods.map(({ id }) => id)).toEqual(ids);
    expect(seen).toEqual(["GET /v2/pods?limit=1000"]);
  });

  it("stops when a cursor is repeated", async () => {
    const { client, seen } = await script(page(["a"], { nextCursor: "x", hasNextPage: true }));
    expect(await client.listPods()).toMatchObject({ kind: "unknown", detail: expect.stringContaining("circle") });
    expect(seen).toEqual(["GET /v2/pods?limit=1000", "GET /v2/pods?limit=1000&cursor=x"]);
  });

  it("invariant 17: is complete beside foreign entries of any shape", async () => {
    const foreign = [
      null,
      7,
      "pod",
      [],
      {},
      { id: null },
      { id: "" },
      { id: "\ud800", name: "x" },
      { id: "../p1", status: "RUNNING" },
      { name: "notebook", env: { TOKEN: "x" } },
    ];
    const odd = [
      { id: "p2", name: null, status: "RUNNING" },
      { id: "p3" },
      {
        id: "p4",
        name: "n".repeat(100_000),
        status: "🎬\ud83c\u0000",
        cost: "free",
        env: "none",
        runtime: [],
        gpu: null,
      },
    ];
    const { client } = await script({ status: 200, body: { pods: [...foreign, ...odd, POD], pagination: last } });
    const list = await client.listPods();
    expect(list.kind === "complete" && list.pods.map(({ id, name, status }) => [id, name, status])).toEqual([
      ["p2", null, "RUNNING"],
      ["p3", null, "UNKNOWN"],
      ["p4", "n".repeat(200), "🎬\ufffd\ufffd"],
      ["p1", "main-1", "RUNNING"],
    ]);
  });

  const more = { nextCursor: "x", hasNextPage: true };
  it.each([
    ["a later page fails", [page(["a"], more), { status: 502, body: {} }]],
    ["a later page is unreadable", [page(["a"], more), { status: 200, body: "?" }]],
    [
      "the cursor leads in a circle",
      [page(["a"], more), page(["b"], { nextCursor: "y", hasNextPage: true }), page(["c"], more)],
    ],
    ["more pods are announced without a cursor", [page(["a"], { nextCursor: null, hasNextPage: true })]],
    ["a full page comes without pagination", [page(Array.from({ length: 1000 }, (_, index) => `p${index}`))]],
    ["a short page does not say whether more follow", [page(["a"])]],
    ["its pagination says nothing", [page(["a"], {})]],
    ["a page of foreign entries does not say whether more follow", [{ status: 200, body: { pods: [null] } }]],
    [
      "one pod of many has our kind of name and no id",
      [{ status: 200, body: { pods: [POD, { name: "main-0a1b2c3d" }] } }],
    ],
    [
      "one pod of many has our mark and no id",
      [{ status: 200, body: { pods: [POD, { id: 7, env: { GPU_POOL_DEPLOYMENT: "x" } }] } }],
    ],
    ["the cursor is no text", [page(["a"], { nextCursor: "\ud800", hasNextPage: true })]],
    ["the pods are no list", [{ status: 200, body: { pods: { 0: POD } } }]],
    ["the answer is a bare array", [{ status: 200, body: [POD] }]],
    ["the answer is an error with status 200", [{ status: 200, body: { error: "try later" } }]],
  ] as [string, Scripted[]][])("is unknown, never short, when %s", async (_, answers) => {
    const { client } = await script(...answers);
    expect(await client.listPods()).toMatchObject({ kind: "unknown", detail: expect.stringContaining("listing pods") });
  });
});
