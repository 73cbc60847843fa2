import { defaultPayloadConverter, type PayloadConverter } from "@temporalio/common";
import { cut } from "../../supabase/functions/_shared/text.ts";

/** Stands for a payload whose bytes could not be decoded. */
export class Undecodable {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/**
 * Never throws for a payload that is sent to a workflow. An error would fail the workflow task again and again, so one
 * signal could block a pool without end. Results of our activities still fail as usual.
 */
export const payloadConverter: PayloadConverter = {
  toPayload: (value, context, hint) => defaultPayloadConverter.toPayload(value, context, hint),
  fromPayload<T>(...[payload, context, hint]: Parameters<PayloadConverter["fromPayload"]>): T {
    try {
      return defaultPayloadConverter.fromPayload<T>(payload, context, hint as never);
    } catch (error) {
      if (context?.type === "activity") {
        throw error;
      }
      const reason = error instanceof Error ? error.message : String(error);
      return new Undecodable(cut(reason, 200)) as T;
    }
  },
};
