import { plainText } from "./plausible.ts";

const SHORTEST_SECRET_CHARS = 6;
const LONGEST_DETAIL_CHARS = 500;

/**
 * Makes a text fit for logs and the database: replaces every given secret, then cuts the text to 500 characters. This
 * order matters: a cut could leave half of a secret. Values under 6 characters stay, because ordinary words could contain them.
 */
export function redact(text: string, secrets: readonly string[]): string {
  const clean = secrets
    .filter((secret) => secret.length >= SHORTEST_SECRET_CHARS)
    .toSorted((a, b) => b.length - a.length)
    .reduce((rest, secret) => rest.replaceAll(secret, "[redacted]"), text);
  return plainText(clean, LONGEST_DETAIL_CHARS);
}
