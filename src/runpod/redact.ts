import { plainText } from "./plausible.ts";

const SHORTEST_SECRET_CHARS = 6;
const LONGEST_DETAIL_CHARS = 500;
/** A key of the provider, such as the one that every pod gets and this process does not know. */
const PROVIDER_KEY = /\brpa_[0-9A-Za-z]{16,}/g;

/**
 * Makes a text fit for logs and the database: replaces every given secret, then cuts the text to 500 characters. This
 * order matters: a cut could leave half of a secret. Values under 6 characters stay, because ordinary words could contain them.
 */
export function redact(text: string, secrets: readonly string[]): string {
  return plainText(hideSecrets(text, secrets), LONGEST_DETAIL_CHARS);
}

/** Replaces every given secret of at least 6 characters, and every key of the provider. */
export function hideSecrets(text: string, secrets: readonly string[]): string {
  return secrets
    .filter((secret) => secret.length >= SHORTEST_SECRET_CHARS)
    .toSorted((a, b) => b.length - a.length)
    .reduce((rest, secret) => rest.replaceAll(secret, "[redacted]"), text)
    .replaceAll(PROVIDER_KEY, "[redacted]");
}
