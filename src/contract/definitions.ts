import type { QueryDefinition, SignalDefinition, UpdateDefinition } from "@temporalio/common";

/**
 * Typed definitions as defineSignal, defineUpdate and defineQuery of @temporalio/workflow make them. The command
 * needs definitions as well, and loading that package would delay every start of it.
 */

export function signal<Args extends unknown[] = []>(name: string): SignalDefinition<Args> {
  return { type: "signal", name } as SignalDefinition<Args>;
}

export function update<Answer, Args extends unknown[] = []>(name: string): UpdateDefinition<Answer, Args> {
  return { type: "update", name } as UpdateDefinition<Answer, Args>;
}

export function query<Answer>(name: string): QueryDefinition<Answer> {
  return { type: "query", name } as QueryDefinition<Answer>;
}
