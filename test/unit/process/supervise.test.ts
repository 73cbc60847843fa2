import { describe, expect, it } from "vitest";
import { supervise } from "../../../src/process/supervise.ts";
import type { ExitStatus, ManagedProcess } from "../../../src/process/guardian.ts";

function fakeProcesses() {
  const ends: ((status: ExitStatus) => void)[] = [];
  const start = (): ManagedProcess => {
    const exited = new Promise<ExitStatus>((resolve) => ends.push(resolve));
    return { pid: 1, name: "Temporal worker", exited, stop: () => Promise.resolve(), outputTail: () => "" };
  };
  return { start, ends };
}

describe("a supervised process", () => {
  it("is started again when it dies, after a wait that doubles, and says so", async () => {
    const { start, ends } = fakeProcesses();
    const stopping = new AbortController();
    const said: string[] = [];
    const done = supervise({ start, say: (text) => void said.push(text), stopping: stopping.signal });
    ends[0]?.({ code: null, signal: "SIGKILL" });
    await expect.poll(() => said).toEqual(["the Temporal worker died (SIGKILL); starting it again in 1 s"]);
    await expect.poll(() => ends).toHaveLength(2);
    ends[1]?.({ code: 1, signal: null });
    await expect.poll(() => said[1]).toBe("the Temporal worker died (code 1); starting it again in 2 s");
    stopping.abort();
    await done;
    expect(ends).toHaveLength(2);
  });

  it("is not started again once everything is being stopped", async () => {
    const { start, ends } = fakeProcesses();
    const stopping = new AbortController();
    const said: string[] = [];
    const done = supervise({ start, say: (text) => void said.push(text), stopping: stopping.signal });
    stopping.abort();
    ends[0]?.({ code: 0, signal: null });
    await done;
    expect(ends).toHaveLength(1);
    expect(said).toEqual([]);
  });
});
