/** Ends the thread of the sandbox, as a rejection does that belongs to no run. */
export async function deadly(): Promise<void> {
  // A class from outside the sandbox leads to the process.
  const { nextTick } = (AbortController.constructor as unknown as (code: string) => () => NodeJS.Process)(
    "return process",
  )();
  nextTick(() => {
    throw new Error("belongs to no run");
  });
  await new Promise(() => {});
}

export async function harmless(): Promise<string> {
  return "done";
}
