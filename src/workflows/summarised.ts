import { type ActivityOptions, proxyActivities } from "@temporalio/workflow";

/** Activities with common options, each with the line that the Web UI shows for it. */
export function summarised<A extends object>(
  options: ActivityOptions,
  summaries: { readonly [Name in keyof A]: string },
): A {
  const entries = Object.entries<string>(summaries).map(([name, summary]) => [
    name,
    proxyActivities<Record<string, () => Promise<unknown>>>({ ...options, summary })[name],
  ]);
  return Object.fromEntries(entries) as A;
}
