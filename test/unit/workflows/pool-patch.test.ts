import { describe, expect, it } from "vitest";
import { ACCOUNT_SETTINGS } from "../../../src/contract/pool-settings.ts";
import { parsePatch } from "../../../src/workflows/pool/parse-messages.ts";

describe("a patch of a pool's settings", () => {
  it("is refused with the names that are nearest when it holds another", () => {
    expect(parsePatch({ maxGpus: 3 })).toMatchObject({
      ok: false,
      error: "maxGpus: no setting that a pool may have; did you mean maxActiveGpus?",
    });
    expect(parsePatch({ colour: 3 })).toMatchObject({
      error: "colour: no setting that a pool may have; gpu-pool config explain lists them",
    });
  });

  it("is refused with the place where to set it when it holds a setting of the account", () => {
    for (const name of ACCOUNT_SETTINGS) {
      expect(parsePatch({ maxActiveGpus: 3, [name]: 1 })).toEqual({
        ok: false,
        error: `${name}: it is the account's, over all pools; set it in the Temporal worker's environment`,
      });
    }
  });

  it("is taken as it is when every name is known, null included", () => {
    expect(parsePatch({ maxActiveGpus: null })).toEqual({ ok: true, value: { maxActiveGpus: null } });
    // Another version may have left it.
    expect(parsePatch({ futureSec: null })).toEqual({ ok: true, value: { futureSec: null } });
  });
});
