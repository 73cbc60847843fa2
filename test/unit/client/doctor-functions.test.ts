import { readdir } from "node:fs/promises";
import { expect, it } from "vitest";
import { DEPLOYED } from "../../../src/client/doctor/functions.ts";

it("the doctor asks every edge function that is deployed", async () => {
  const folders = await readdir(new URL("../../../supabase/functions/", import.meta.url));
  expect(DEPLOYED.toSorted()).toEqual(folders.filter((name) => !name.startsWith("_")).toSorted());
});
