import { describe, expect, it } from "vitest";
import { parseVram } from "../../../src/gpu-worker/vram.ts";

describe("GPU memory", () => {
  it("is summed over the machine's GPUs", () => {
    expect(parseVram("24576, 1200\n24576, 300\n")).toEqual({ totalMb: 49_152, usedMb: 1_500 });
  });

  it("is unknown as soon as one line cannot be read", () => {
    expect(parseVram("24576, 1200\n[N/A], 3\n")).toEqual({ totalMb: null, usedMb: null });
    expect(parseVram("")).toEqual({ totalMb: null, usedMb: null });
  });
});
