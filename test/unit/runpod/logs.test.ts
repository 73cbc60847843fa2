import { describe, expect, it } from "vitest";
import { readEvents } from "../../../src/runpod/event-stream.ts";
import type { FollowPodLogOptions, PodLogEvent } from "../../../src/runpod/logs.ts";
import { API_KEY, script, serve } from "../../kit/runpod-answers.ts";
import { type Actor, actorLauncher, createPod, type Kit, raw, startKit, untilStatus } from "../../kit/simulator.ts";

const NAME = "main-0a1b2c3d";
const FAST = { pauseMs: 1 };

interface LogKit extends Kit {
  readonly id: string;
  readonly actor: Actor;
}

/** A running pod, whose container writes what the test says. */
async function startPod(...lines: string[]): Promise<LogKit> {
  const { launch, actors } = actorLauncher();
  const kit = await startKit({ launch });
  const id = await createPod(kit, NAME);
  await untilStatus(kit, id, "RUNNING");
  const [actor] = actors;
  if (!actor) {
    throw new Error("the pod was not launched");
  }
  for (const line of lines) {
    actor.say(line);
  }
  return { ...kit, id, actor };
}

function textsOf(events: readonly PodLogEvent[]): string[] {
  return events.flatMap((event) => (event.kind === "line" ? [event.line.text] : []));
}

/** Follows the log to its end; `onLine` sees each line and how many came. */
async function followAll(
  { client, id }: Pick<LogKit, "client" | "id">,
  options: FollowPodLogOptions = {},
  onLine: (text: string, count: number) => void = () => undefined,
): Promise<{ texts: string[]; last: Extract<PodLogEvent, { kind: "end" }> }> {
  const events: PodLogEvent[] = [];
  for await (const event of client.followPodLog(id, { ...FAST, ...options })) {
    events.push(event);
    if (event.kind === "line") {
      onLine(event.line.text, textsOf(events).length);
    }
  }
  const last = events.at(-1);
  if (last?.kind !== "end" || events.filter(({ kind }) => kind === "end").length !== 1) {
    throw new Error("the stream has no end, or more than one");
  }
  return { texts: textsOf(events), last };
}

const container = { source: "container" } as const;

describe("following a pod's log", () => {
  it("gives the old lines that were asked for, then new ones, and ends with the container", async () => {
    const kit = await startPod("one", "two", "three");
    const { texts, last } = await followAll(kit, { ...container, tail: 2 }, (text) => {
      if (text === "three") {
        kit.actor.say("four");
      }
      if (text === "four") {
        kit.actor.end(0);
      }
    });
    expect(texts).toEqual(["two", "three", "four"]);
    expect(last).toMatchObject({ end: { kind: "ended" }, after: expect.stringMatching(/Z\/0+\d+$/) });
  });

  it("shows both sources in one order, or one of them, with the time of each line", async () => {
    const kit = await startPod("hello");
    kit.actor.end(3);
    await untilStatus(kit, kit.id, "EXITED");
    expect((await followAll(kit)).texts).toEqual([
      "PROVISIONING",
      "STARTING",
      "RUNNING",
      "hello",
      "EXITED: container ended by itself: code 3",
    ]);
    expect((await followAll(kit, { source: "system" })).texts).not.toContain("hello");
    expect(await kit.client.readPodLog(kit.id, container)).toMatchObject({
      lines: [{ source: "container", at: expect.stringMatching(/^20.*Z$/), text: "hello" }],
    });
  });

  it("goes on after the last line when the connection breaks, without a gap and without a repetition", async () => {
    const kit = await startPod("one", "two", "three", "four", "five");
    kit.actor.end(0);
    kit.simulator.addFault({ on: "logs", kind: "drop", afterEvents: 2, afterMs: 20, times: 2 });
    const { texts, last } = await followAll(kit, container);
    expect(texts).toEqual(["one", "two", "three", "four", "five"]);
    expect(last.end).toEqual({ kind: "ended" });
  });

  it("goes on where an earlier call stopped, or at a time", async () => {
    let clockMs = Date.now();
    const { launch, actors } = actorLauncher();
    const kit = await startKit({ launch, now: () => clockMs });
    const id = await createPod(kit, NAME);
    await untilStatus(kit, id, "RUNNING");
    for (const line of ["one", "two", "three"]) {
      actors[0]?.say(line);
      clockMs += 1_000;
    }
    actors[0]?.end(0);
    const first = await followAll({ ...kit, id }, { ...container, maxLines: 2 });
    expect(first).toMatchObject({ texts: ["one", "two"], last: { end: { kind: "capped" } } });
    const rest = await followAll({ ...kit, id }, { ...container, after: first.last.after ?? "" });
    expect(rest.texts).toEqual(["three"]);
    const since = new Date(clockMs - 2_000).toISOString();
    expect((await followAll({ ...kit, id }, { ...container, since })).texts).toEqual(["two", "three"]);
  });

  it("leaves out what a resumed stream repeats", async () => {
    const line = (count: number) => `id: t/${count}\ndata: {"source":"container","line":"line ${count}"}\n\n`;
    const bodies = [line(1) + line(2), line(2) + line(3), ""];
    const seen: unknown[] = [];
    const client = await serve((request, response) => {
      seen.push(request.headers["last-event-id"]);
      response.writeHead(200, { "content-type": "text/event-stream" }).end(bodies[seen.length - 1]);
    });
    const { texts, last } = await followAll({ client, id: "p1" });
    expect(texts).toEqual(["line 1", "line 2", "line 3"]);
    expect(seen).toEqual([undefined, "t/2", "t/3"]);
    expect(last).toMatchObject({ end: { kind: "ended" }, after: "t/3" });
  });

  it("ends at the caller's signal, and when the caller leaves the loop", async () => {
    const kit = await startPod("one");
    const cancel = new AbortController();
    const { last } = await followAll(kit, { signal: cancel.signal, ...container }, () => cancel.abort());
    expect(last.end).toEqual({ kind: "cancelled" });
    for await (const event of kit.client.followPodLog(kit.id)) {
      expect(event.kind).toBe("line");
      break;
    }
    expect((await followAll(kit, { signal: AbortSignal.abort() })).last.end).toEqual({ kind: "cancelled" });
  });

  it("ends at once where nothing will change, and says why", async () => {
    const kit = await startPod("one");
    expect((await followAll({ ...kit, id: "nosuchpod" })).last.end).toEqual({ kind: "absent" });
    expect((await followAll({ ...kit, id: "" })).last.end).toMatchObject({ kind: "unknown" });
    kit.simulator.addFault({ on: "logs", kind: "answer", status: 403, body: { detail: "access denied" } });
    const { last } = await followAll(kit);
    expect(last.end).toMatchObject({ kind: "unknown", reason: "forbidden" });
    expect((await followAll(kit, { tail: 5001 })).last.end).toMatchObject({ kind: "unknown", reason: "invalid" });
  });

  it("tries again after failures that may pass, and gives up when they do not", async () => {
    const kit = await startPod("one");
    kit.actor.end(0);
    for (const kind of ["error", "reset", "garbage"] as const) {
      kit.simulator.addFault({ on: "logs", kind });
    }
    kit.simulator.addFault({ on: "logs", kind: "rate-limited", retryAfterSec: 0 });
    expect(await followAll(kit, container)).toMatchObject({ texts: ["one"], last: { end: { kind: "ended" } } });
    kit.simulator.addFault({ on: "logs", kind: "drop", afterEvents: 0, times: 9 });
    const asked = kit.simulator.requests().length;
    expect((await followAll(kit, { retries: 2 })).last.end).toMatchObject({
      kind: "unknown",
      detail: expect.stringContaining("the stream broke"),
    });
    expect(kit.simulator.requests()).toHaveLength(asked + 3);
  });

  it("reads what is odd in a stream, and keeps secrets out of the lines", async () => {
    const kit = await startPod(
      `key ${"rpa_"}${"x".repeat(30)} and token-of-the-worker`,
      `${"🎬".repeat(5_000)}`,
      "\ud800 and \u0000",
    );
    kit.actor.end(0);
    const text =
      ': keep-alive\r\n\r\nevent: x\n\ndata: plain\n\nid: \u0001\ndata: {"source":9,"line":[],"ts":"0001"}\n\n';
    kit.simulator.addFault({ on: "logs", kind: "odd-events", text });
    const events: PodLogEvent[] = [];
    const secrets = ["token-of-the-worker"];
    for await (const event of kit.client.followPodLog(kit.id, { ...FAST, ...container, secrets })) {
      events.push(event);
    }
    expect(events[0]).toEqual({ kind: "line", line: { id: null, source: null, at: null, text: "plain" } });
    expect(events[1]).toMatchObject({ line: { id: null, source: null, at: null, text: expect.stringMatching(/^\{/) } });
    expect(textsOf(events)[2]).toBe("key [redacted] and [redacted]");
    expect(textsOf(events)[3]).toHaveLength(4_000);
    expect(textsOf(events)[4]).toBe("\ufffd and \ufffd");
  });
});

describe("reading the last lines of a pod's log", () => {
  it("returns them also while the pod runs, and shows those of a pod that never started", async () => {
    const kit = await startPod("one", "two", "three");
    expect(await kit.client.readPodLog(kit.id, { ...container, tail: 2 })).toMatchObject({
      kind: "read",
      complete: true,
      lines: [{ text: "two" }, { text: "three" }],
    });
    expect(await kit.client.readPodLog(kit.id, { ...container, quietMs: 300 })).toMatchObject({
      complete: true,
      lines: [{ text: "one" }, { text: "two" }, { text: "three" }],
    });
    expect(await kit.client.readPodLog(kit.id, { ...container, tail: 0, quietMs: 50 })).toMatchObject({ lines: [] });
    const dead = await startKit({
      launch: () => {
        throw new Error("no such image");
      },
    });
    const id = await createPod(dead, NAME);
    await untilStatus(dead, id, "ERROR");
    const log = await dead.client.readPodLog(id, { source: "system", tail: 1 });
    expect(log).toMatchObject({ lines: [{ source: "system", text: expect.stringContaining("no such image") }] });
  });

  it("is one request, and unknown or incomplete when it fails", async () => {
    const kit = await startPod("one", "two");
    for (const kind of ["error", "reset", "garbage", "rate-limited"] as const) {
      const asked = kit.simulator.requests().length;
      kit.simulator.addFault({ on: "logs", kind });
      expect(await kit.client.readPodLog(kit.id)).toMatchObject({ kind: "unknown" });
      expect(kit.simulator.requests()).toHaveLength(asked + 1);
    }
    kit.simulator.addFault({ on: "logs", kind: "drop", afterEvents: 1, afterMs: 20 });
    expect(await kit.client.readPodLog(kit.id, container)).toMatchObject({
      kind: "read",
      complete: false,
      lines: [{ text: "one" }],
    });
    expect(await kit.client.readPodLog("nosuchpod")).toEqual({ kind: "absent" });
    const signal = AbortSignal.abort();
    expect(await kit.client.readPodLog(kit.id, { signal })).toMatchObject({ kind: "unknown" });
  });

  it("is unknown, not empty, when the answer is no stream of events", async () => {
    const { client } = await script({ status: 200, body: { lines: [] } }, { status: 200, body: "<html></html>" });
    for (const _ of [1, 2]) {
      const outcome = await client.readPodLog("p1");
      expect(outcome).toMatchObject({ kind: "unknown", detail: expect.stringContaining("HTTP 200") });
      expect(JSON.stringify(outcome)).not.toContain(API_KEY);
    }
  });
});

describe("the log of the simulator", () => {
  it("has the provider's form, and refuses parameters out of range", async () => {
    const kit = await startPod("hello");
    kit.actor.end(0);
    await untilStatus(kit, kit.id, "EXITED");
    const answer = await raw(kit, "GET", `/v2/pods/${kit.id}/logs?source=container`);
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    expect(await answer.text()).toMatch(
      /^id: (20\S+Z)\/0{11}4\ndata: \{"ts":"\1","source":"container","line":"hello"\}\n\n$/,
    );
    for (const query of ["tail=5001", "tail=-1", "source=x", "since=yesterday"]) {
      expect((await raw(kit, "GET", `/v2/pods/${kit.id}/logs?${query}`)).status).toBe(422);
    }
  });
});

describe("a stream of server-sent events", () => {
  async function read(...chunks: (string | Buffer)[]) {
    const parts = (async function* () {
      for (const chunk of chunks) {
        yield Buffer.from(chunk);
      }
    })();
    const events = [];
    for await (const event of readEvents(parts)) {
      events.push(event);
    }
    return events;
  }

  it("may be cut anywhere between its bytes", async () => {
    const bytes = Buffer.from("id: 1\r\ndata: 🎬 a\r\ndata: b\r\n\r\nid: 2\rdata:c\r\rdata: cut off");
    const whole = [
      { id: "1", data: "🎬 a\nb" },
      { id: "2", data: "c" },
    ];
    expect(await read(bytes)).toEqual(whole);
    expect(await read(...[...bytes].map((byte) => Buffer.from([byte])))).toEqual(whole);
  });

  it("keeps no line without an end", async () => {
    const much = `data: ${"x".repeat(600_000)}`;
    expect(await read(much, much, "\n\ndata: next\n\n")).toEqual([{ id: null, data: "next" }]);
  });
});
