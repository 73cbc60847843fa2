import { describe, expect, it } from "vitest";
import { toFigures } from "../../../src/client/commands/see/status-read.ts";
import { describeMeasured, kindColumns, measuredJson, shownKinds } from "../../../src/client/render/measured.ts";
import { createStyle } from "../../../src/client/render/output.ts";
import { renderTable } from "../../../src/client/render/table.ts";

function steps(first: number, step: number): number[] {
  return Array.from({ length: 21 }, (_, n) => first + n * step);
}
const kind = { taskType: "generate_video", model: null };
const measured = {
  measuredMs: Date.parse("2026-01-01T12:00:00Z"),
  bootSec: 118,
  boots: [
    { gpuType: "L40S", cloud: "SECURE", dataCenter: "EU-1", samples: 20, medianSec: 118 },
    { gpuType: "L4", cloud: "SECURE", dataCenter: null, samples: 3, medianSec: 42.5 },
  ],
  services: [
    { ...kind, samples: 400, quantilesSec: steps(100, 10) },
    { ...kind, model: "a", samples: 300, quantilesSec: steps(2, 0.5) },
    { ...kind, model: "b", samples: 250, quantilesSec: steps(100, 10) },
    { taskType: "image", model: null, samples: 7, quantilesSec: steps(1, 0) },
    { taskType: "image", model: "c", samples: 7, quantilesSec: steps(1, 0) },
  ],
  speeds: [],
  priorsSec: { generate_video: 200 },
  demand: [{ ...kind, queued: 4, arrivalsPerSec: 61 / 3600 }],
  coming: [{ ...kind, after: "t1", tasks: 3 }],
  waitValue: 2.0456,
  waited: { starts: 400, sec: 87 },
};

describe("the measured figures of a pool", () => {
  it.each<[object, object, number | null]>([
    [{ waitValue: 3 }, {}, 3],
    // The environment has null for what is not set.
    [{ waitValue: null, targetWaitSec: null, waitCostUsdPerHour: null }, {}, 2],
    [{ targetWaitSec: 60 }, {}, measured.waitValue],
    [{ targetWaitSec: 60 }, { waitValue: 5 }, 5],
    [{ waitCostUsdPerHour: 1 }, { waitValue: 5 }, 5],
    [{ waitValue: 3 }, { waitCostUsdPerHour: 1 }, null],
    [{ waitValue: 3 }, { targetWaitSec: 60 }, measured.waitValue],
    [{ waitValue: 3, policy: "workload" }, {}, null],
  ])("have the WAIT_VALUE in force, for the environment %j and the pool's own %j", (environment, config, waitValue) => {
    const reading = { measured, config: { ...config }, environment: { policy: "latency", ...environment } };
    expect(toFigures(reading)?.waitValue).toBe(waitValue);
  });

  it("are one line: boots, arrivals, waits, and what waiting is worth", () => {
    expect(describeMeasured(measured)).toBe(
      "boots 1m58s, L40S EU-1 1m58s, L4 43s; 61 tasks an hour; 3 tasks wait for running ones; " +
        "last 400 starts waited 1m27s at the percentile; WAIT_VALUE 2.05",
    );
  });

  it("leave out what is not known", () => {
    const few = { ...measured, bootSec: null, boots: [], coming: [], waited: null, waitValue: null };
    expect(describeMeasured(few)).toBe("no boot yet; 61 tasks an hour");
    expect(describeMeasured({ ...few, services: [], demand: [] })).toBeNull();
  });

  it("are a table of the times of each kind of task, with one line for a type of one model", () => {
    expect(renderTable(kindColumns, shownKinds(measured.services), 120, createStyle(false))).toEqual([
      "TASK TYPE       MODEL  MEASURED     5%  MEDIAN    95%",
      "generate_video  all         400  1m50s   3m20s  4m50s",
      "generate_video  a           300   2.5s      7s    12s",
      "generate_video  b           250  1m50s   3m20s  4m50s",
      "image           c             7     1s      1s     1s",
    ]);
  });

  it("are all in the JSON, with the unit in each name", () => {
    expect(measuredJson(measured)).toMatchObject({
      at: "2026-01-01T12:00:00.000Z",
      bootSec: 118,
      arrivalsPerHour: 61,
      expectedSec: { generate_video: 200 },
      demand: [{ queued: 4, arrivalsPerHour: 61 }],
      waitValue: 2.0456,
    });
  });
});
