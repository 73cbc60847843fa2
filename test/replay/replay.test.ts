import { readdir, readFile } from "node:fs/promises";
import { DefaultLogger, makeTelemetryFilterString, Runtime, Worker } from "@temporalio/worker";
import { DeterminismViolationError } from "@temporalio/workflow";
import { beforeAll, describe, expect, it } from "vitest";
import { poolUpdates } from "../../src/contract/pool-api.ts";
import { openTracing, type Tracing } from "../../src/worker/tracing/tracing.ts";
import { bundleWorkflows } from "../../src/worker/workflow-bundle.ts";

const MAX_BYTES = 300_000;
const SECRETS =
  /eyJ[\w-]{8,}\.[\w-]{8,}|-----BEGIN|bearer |service_role|rpa_\w{8,}|"(\w*token|api_?key|password|secret)"/i;

interface Recorded {
  readonly name: string;
  readonly text: string;
  readonly history: { readonly events: readonly Record<string, unknown>[] };
}

const HISTORIES = new URL("./histories/", import.meta.url);
const CHANGED_WORKFLOWS = new URL("../kit/replay/changed-workflows.ts", import.meta.url);

async function replay(workflows: URL | undefined, recorded: readonly Recorded[], tracing: Tracing | null = null) {
  const workflowBundle = await bundleWorkflows(workflows, tracing);
  const plugins = tracing === null ? [] : [tracing.plugin];
  const histories = recorded.map(({ name, history }) => ({ workflowId: name, history }));
  const outcomes = new Map<string, Error | undefined>();
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle, plugins }, histories)) {
    outcomes.set(workflowId, error);
  }
  return outcomes;
}

interface UpdateEvent {
  readonly workflowExecutionUpdateAcceptedEventAttributes?: {
    readonly acceptedRequest: { readonly input: { readonly name: string; args: unknown } };
  };
}

function encoded(value: unknown) {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return { metadata: { encoding: base64("json/plain") }, data: base64(JSON.stringify(value)) };
}

/** Whether a text in a JSON value, as it stands or as an encoded payload, looks like a secret. */
function holdsSecret(value: unknown): boolean {
  if (typeof value === "string") {
    return SECRETS.test(value) || SECRETS.test(Buffer.from(value, "base64").toString("utf8"));
  }
  return typeof value === "object" && value !== null && Object.values(value).some(holdsSecret);
}

function workflowType({ history }: Recorded): string {
  const started = history.events[0]?.["workflowExecutionStartedEventAttributes"];
  return (started as { workflowType: { name: string } }).workflowType.name;
}

describe("recorded histories", () => {
  let recorded: Recorded[] = [];
  beforeAll(async () => {
    Runtime.install({
      logger: new DefaultLogger("ERROR"),
      telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: "ERROR" }) } },
    });
    const files = (await readdir(HISTORIES)).filter((file) => file.endsWith(".json"));
    recorded = await Promise.all(
      files.map(async (file): Promise<Recorded> => {
        const text = await readFile(new URL(file, HISTORIES), "utf8");
        return { name: file, text, history: JSON.parse(text) };
      }),
    );
  });

  it.each([
    ["workflows of today: what lives goes on after an upgrade", undefined],
    ["workflows that are traced: tracing may be turned on while pools live", "http://127.0.0.1:1"],
  ])("replay on the %s", async (_, endpoint) => {
    const tracing = await openTracing(endpoint);
    const outcomes = await replay(undefined, recorded, tracing);
    await tracing?.close();
    expect(outcomes.size).toBe(recorded.length);
    expect(
      [...outcomes].flatMap(([name, error]) => (error === undefined ? [] : [`${name}: ${error.message}`])),
    ).toEqual([]);
  });

  it.for([
    [poolUpdates.scale.name, { target: 3, forSec: 60 }],
    [poolUpdates.pause.name, { for: 600 }],
  ] as const)("replay also where an older version took the update %s with an unknown field", async ([name, fields]) => {
    const pool = recorded.find((history) => history.name === "gpuPool-main-job.json");
    const payload = { payloads: [encoded(fields)] };
    let changed = 0;
    const events = structuredClone(pool?.history.events ?? []);
    for (const event of events as unknown as UpdateEvent[]) {
      const { workflowExecutionUpdateAcceptedEventAttributes: update } = event;
      if (update?.acceptedRequest.input.name === poolUpdates.scale.name) {
        Object.assign(update.acceptedRequest.input, { name, args: payload });
        changed += 1;
      }
    }
    expect(changed).toBe(1);
    const outcomes = await replay(undefined, [{ name: "surplus", text: "", history: { events } }]);
    expect(outcomes).toEqual(new Map([["surplus", undefined]]));
  });

  it("catch a change of the workflows, each of them", async () => {
    const outcomes = await replay(CHANGED_WORKFLOWS, recorded);
    expect(outcomes.size).toBe(recorded.length);
    expect([...outcomes].filter(([, error]) => !(error instanceof DeterminismViolationError))).toEqual([]);
  });

  it("are there for every workflow", async () => {
    const index = await readFile(new URL("../../src/workflows/index.ts", import.meta.url), "utf8");
    const workflows = [...index.matchAll(/export \{ (\w+) \}/g)].map(([, name]) => name);
    expect(workflows.length).toBeGreaterThan(0);
    expect([...new Set(recorded.map(workflowType))]).toEqual(expect.arrayContaining(workflows));
  });

  it("are small and hold no secret", () => {
    const large = recorded.filter(({ text }) => Buffer.byteLength(text) > MAX_BYTES);
    expect(large.map(({ name }) => name)).toEqual([]);
    const leaking = recorded.filter(({ history }) => holdsSecret(history));
    expect(leaking.map(({ name }) => name)).toEqual([]);
    const payload = Buffer.from('{"apiKey":"abc"}').toString("base64");
    expect(holdsSecret({ input: [{ data: payload }] })).toBe(true);
  });
});
