import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ProcessBeat, startProcessBeat } from "../../../src/worker/process-beat.ts";

const BEAT_MS = 5_000;

describe("the signs of life of a worker process", () => {
  const answer = { leader: true, wake: [] as string[] };
  const beats = vi.fn<(identity: { id: string }, woken: readonly string[]) => Promise<typeof answer>>();
  const end = vi.fn<(id: string) => Promise<void>>();
  const wake = vi.fn<(pool: string) => Promise<void>>();
  let beat: ProcessBeat;

  const passes = async (ms: number) => await vi.advanceTimersByTimeAsync(ms);
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
    beats.mockReset().mockResolvedValue(answer);
    end.mockReset().mockResolvedValue();
    wake.mockReset().mockResolvedValue();
  });
  afterEach(async () => {
    void beat.stop();
    await passes(60_000);
    vi.useRealTimers();
  });
  const start = async () => {
    beat = startProcessBeat({
      processes: { beat: beats, end },
      taskQueue: "q",
      wake,
      logger: pino({ level: "silent" }),
    });
    await passes(0);
  };

  it("come every five seconds, and say who gives them", async () => {
    await start();
    await passes(2 * BEAT_MS);
    expect(beats).toHaveBeenCalledTimes(3);
    expect(beats.mock.calls[0]?.[0]).toMatchObject({ pid: process.pid, taskQueue: "q", version: expect.any(String) });
    expect(beat.lastSeen()).toBe(Date.now());
  });

  it("go on while the database does not answer; meanwhile the process does not lead", async () => {
    await start();
    expect(beat.leader()).toBe(true);
    const seenMs = beat.lastSeen();
    beats.mockRejectedValue(new Error("no answer"));
    await passes(20_000);
    expect(beat.leader()).toBe(true);
    await passes(BEAT_MS);
    expect(beat.leader()).toBe(false);
    expect(beat.lastSeen()).toBe(seenMs);
    beats.mockResolvedValue(answer);
    await passes(BEAT_MS);
    expect(beat.leader()).toBe(true);
  });

  it("do not wait for a pool that is woken, and report it with the next one, until the database has heard it", async () => {
    let isWoken = (): void => undefined;
    wake.mockReturnValue(new Promise((resolve) => (isWoken = resolve)));
    beats.mockResolvedValueOnce({ leader: false, wake: ["main"] });
    await start();
    await passes(2 * BEAT_MS);
    expect(wake.mock.calls).toEqual([["main"]]);
    expect(beats.mock.lastCall?.[1]).toEqual([]);
    isWoken();
    beats.mockRejectedValueOnce(new Error("no answer"));
    await passes(2 * BEAT_MS);
    expect(beats.mock.calls.slice(-2).map(([, woken]) => woken)).toEqual([["main"], ["main"]]);
    await passes(BEAT_MS);
    expect(beats.mock.lastCall?.[1]).toEqual([]);
  });

  it("report no pool that could not be woken", async () => {
    wake.mockRejectedValue(new Error("Temporal is away"));
    beats.mockResolvedValueOnce({ leader: false, wake: ["main"] });
    await start();
    await passes(BEAT_MS);
    expect(beats.mock.lastCall?.[1]).toEqual([]);
  });

  it("end with the process's row, after the last of them, and never later than five seconds", async () => {
    await start();
    let isAnswered = (): void => undefined;
    beats.mockReturnValueOnce(new Promise((resolve) => (isAnswered = () => resolve(answer))));
    await passes(BEAT_MS);
    const stopped = beat.stop();
    expect(beat.leader()).toBe(false);
    await passes(0);
    expect(end).not.toHaveBeenCalled();
    isAnswered();
    await stopped;
    expect(end).toHaveBeenCalledExactlyOnceWith(beats.mock.calls[0]?.[0].id);
    const before = beats.mock.calls.length;
    await passes(60_000);
    expect(beats).toHaveBeenCalledTimes(before);
  });

  it("do not hold up the end of the process when the database is away", async () => {
    await start();
    end.mockReturnValue(new Promise(() => undefined));
    const stopped = vi.fn<() => void>();
    void beat.stop().then(stopped);
    await passes(4_999);
    expect(stopped).not.toHaveBeenCalled();
    await passes(1);
    expect(stopped).toHaveBeenCalledOnce();
  });
});
