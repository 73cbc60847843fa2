import type { QueryDefinition, SignalDefinition, UpdateDefinition } from "@temporalio/common";

/**
 * As defineSignal, defineUpdate and defineQuery of @temporalio/workflow. The gpu-pool command needs definitions too, and
 * loading that package would add 25 ms to every start of it.
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
