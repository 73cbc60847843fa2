import { defaultPayloadConverter, type PayloadConverter } from "@temporalio/common";

/** What came with a message where its bytes could not be decoded. */
export class Undecodable {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/**
 * Decodes what is sent to a workflow even where that is impossible: an error of the default converter would fail the
 * workflow task, again and again, and one signal would block a pool for good. Results of activities are our own and
 * decoded as ever.
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
      return new Undecodable(reason.slice(0, 200)) as T;
    }
  },
};
