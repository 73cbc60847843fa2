/** After this long without work the next burst begins with one again. */
const IDLE_MS = 10_000;
/** No work waits longer for its turn: a call that hangs must not hold up the others. */
const LONGEST_WAIT_MS = 5_000;

/** How the next pieces of work follow from a finished one. */
export type Lesson = "go on" | "unclear" | "begin anew";

/**
 * Runs the first piece of work of a burst alone, then two at a time, then four, and so on. A cause
 * that would make all of them fail then makes only the first one fail.
 * @param lessonOf of a result. A piece that throws teaches nothing.
 */
export function slowStart<T>(lessonOf: (result: T) => Lesson): (work: () => Promise<T>) => Promise<T> {
  const waiting = new Set<() => void>();
  let atOnce = 1;
  let underWay = 0;
  let endedAtMs = 0;

  async function turn(): Promise<void> {
    const givenUpAtMs = Date.now() + LONGEST_WAIT_MS;
    while (underWay >= atOnce && Date.now() < givenUpAtMs) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(next, givenUpAtMs - Date.now());
        waiting.add(next);
        function next(): void {
          clearTimeout(timer);
          waiting.delete(next);
          resolve();
        }
      });
    }
    underWay += 1;
  }

  return async (work) => {
    if (underWay === 0 && Date.now() - endedAtMs > IDLE_MS) {
      atOnce = 1;
    }
    await turn();
    try {
      const result = await work();
      const lesson = lessonOf(result);
      atOnce = lesson === "go on" ? atOnce * 2 : lesson === "unclear" ? atOnce : 1;
      return result;
    } finally {
      underWay -= 1;
      endedAtMs = Date.now();
      for (const next of [...waiting].slice(0, Math.max(0, atOnce - underWay))) {
        next();
      }
    }
  };
}
