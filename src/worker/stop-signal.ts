import { setMaxListeners } from "node:events";

/**
 * Aborts at the first SIGTERM or SIGINT: nothing new begins, and what runs may end. Neither signal is caught after that,
 * so a second one ends the process at once.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  // Each watch listens, and a process may have many.
  setMaxListeners(0, controller.signal);
  const stop = () => {
    process.off("SIGTERM", stop);
    process.off("SIGINT", stop);
    controller.abort();
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  return controller.signal;
}
