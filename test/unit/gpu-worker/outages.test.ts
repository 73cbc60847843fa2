import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { createOutages } from "../../../src/gpu-worker/queue/outages.ts";
import { QueueError } from "../../../src/gpu-worker/queue/queue-error.ts";

function unreachable(operation: string) {
  return new QueueError("unreachable", operation, 0, "fetch failed");
}

describe("outages", () => {
  function record() {
    const lines: string[] = [];
    const logger = pino({}, { write: (line: string) => lines.push((JSON.parse(line) as { msg: string }).msg) });
    return { lines, outages: createOutages(logger) };
  }

  it("are logged once when they begin, whichever calls fail, and once when they are over", () => {
    const { lines, outages } = record();
    outages.failed(unreachable("claim_task"));
    outages.failed(unreachable("claim_task"));
    outages.failed(unreachable("worker_heartbeat"));
    outages.answered("worker_heartbeat");
    outages.answered("claim_task");
    expect(lines).toEqual(["claim_task got no answer: fetch failed; the worker keeps trying", "the outage is over"]);
  });

  it("last, where one function alone fails, until that function answers", () => {
    const { lines, outages } = record();
    const down = new QueueError("unavailable", "finish_task", 503, "busy");
    outages.failed(down);
    outages.answered("worker_heartbeat");
    outages.failed(down);
    expect(lines).toHaveLength(1);
    outages.answered("finish_task");
    expect(lines).toHaveLength(2);
  });
});
