/** Printable, so that it can stand in a line of text. */
const SIGNED = /^([\x21-\x7e]{1,100})\/[\da-f-]{36}$/;

/**
 * The id of an update that says who sent it, as in alice@laptop. The journal and the Web UI show it; nothing is decided by
 * it, because any client may send any id.
 * @param unique a UUID
 */
export function signedUpdateId(sender: string, unique: string): string {
  const printable = sender.replace(/[^\x21-\x7e]/g, "_").slice(0, 100);
  return `${printable === "" ? "?" : printable}/${unique}`;
}

/** Null: the id does not say. */
export function senderOf(updateId: string | undefined): string | null {
  return SIGNED.exec(updateId ?? "")?.[1] ?? null;
}
