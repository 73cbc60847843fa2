import type { Given } from "../resolved.ts";
import { valueOf } from "./given.ts";

/** "vace" as a word of the model's name, such as vace_14B or wan_2_2_vace_lightning_baseline. */
const VACE = /(?:^|[_-])vace(?:[_-]|$)/i;

/** Whether the task's model follows a guide and a mask. Its `model_type` counts, else the model's name. */
export function usesVace(given: Given): boolean {
  const type = valueOf<string>(given, "model_type");
  return type === undefined ? VACE.test(valueOf<string>(given, "model") ?? "") : type === "vace";
}

/**
 * Whether a segment begins with the end of the one before, so that it waits for it. It does unless the task says otherwise, where
 * the model can take frames of the one before: VACE models, and others with SVI.
 */
export function isChained(given: Given): boolean {
  const isIndependent = valueOf<boolean>(given, "independent_segments") ?? false;
  const wanted = valueOf<boolean>(given, "chain_segments") ?? !isIndependent;
  return wanted && (valueOf<boolean>(given, "use_svi") === true || usesVace(given));
}
