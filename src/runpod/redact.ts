const SHORTEST_SECRET_CHARS = 6;
const LONGEST_DETAIL_CHARS = 500;

/**
 * Makes a text fit for logs: every given secret is replaced, then the text is cut to 500 characters (in that order, as
 * a cut could leave half a secret). Very short values are left, since they would blank out ordinary words.
 */
export function redact(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length >= SHORTEST_SECRET_CHARS)
    .toSorted((a, b) => b.length - a.length)
    .reduce((clean, secret) => clean.replaceAll(secret, "[redacted]"), text)
    .slice(0, LONGEST_DETAIL_CHARS);
}
