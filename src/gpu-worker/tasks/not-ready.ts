/** What the task needs of others is not there yet. It goes back to the queue, and the attempt does not count. */
export class NotReadyError extends Error {
  override readonly name = "NotReadyError";
}
