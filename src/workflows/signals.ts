import { defaultPayloadConverter, type RawValue, rawValueTypeInfo } from "@temporalio/common";
import { defineSignal, setHandler } from "@temporalio/workflow";
import type { Parsed } from "./messages.ts";

/** More arguments than anybody gives by mistake. */
const RAW_ARGUMENTS = Array.from({ length: 16 }, () => rawValueTypeInfo);

/**
 * Handles a signal whose payload may be anything. It arrives undecoded: bytes that the converter does not know would
 * otherwise fail the workflow task, again and again, and block the workflow for good.
 * @param handle is given the first argument (undefined: none was sent), or why it cannot be decoded.
 */
export function onSignal(name: string, handle: (payload: Parsed<unknown>) => void | Promise<void>): void {
  const definition = defineSignal<[RawValue?]>(name, { typeInfo: { inputTypes: RAW_ARGUMENTS } });
  setHandler(definition, (raw) => handle(decode(raw)));
}

function decode(raw: RawValue | undefined): Parsed<unknown> {
  if (raw === undefined) {
    return { ok: true, value: undefined };
  }
  try {
    return { ok: true, value: defaultPayloadConverter.fromPayload(raw.payload) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ok: false, error: `its payload cannot be decoded, send plain JSON: ${reason.slice(0, 200)}` };
  }
}
