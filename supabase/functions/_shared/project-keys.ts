interface KeyNames {
  /** The secret with all keys of this kind: a JSON object, name → key. */
  readonly dictionary: string;
  /** The secret with the one key of older projects. */
  readonly legacy: string;
}

export const PUBLIC_KEY: KeyNames = { dictionary: "SUPABASE_PUBLISHABLE_KEYS", legacy: "SUPABASE_ANON_KEY" };
export const SERVICE_KEY: KeyNames = { dictionary: "SUPABASE_SECRET_KEYS", legacy: "SUPABASE_SERVICE_ROLE_KEY" };

/**
 * Finds the project's own key among a hosted function's secrets: the opaque key named `default`, else the first opaque
 * key, else the legacy key. @throws Error that names the secrets, never their values.
 */
export function keyOf({ dictionary, legacy }: KeyNames, secret: (name: string) => string | undefined): string {
  const keys = parse(dictionary, secret(dictionary) || "{}");
  const key = keys["default"] ?? Object.values(keys)[0] ?? secret(legacy);
  if (typeof key === "string" && key !== "") {
    return key;
  }
  throw new Error(`neither ${dictionary} nor ${legacy} holds a key: set one of them for this function`);
}

function parse(name: string, text: string): Record<string, unknown> {
  try {
    const keys: unknown = JSON.parse(text);
    if (typeof keys === "object" && keys !== null && !Array.isArray(keys)) {
      return keys as Record<string, unknown>;
    }
  } catch {
    // Reported below: the parser's message would show a part of the value.
  }
  throw new Error(`the secret ${name} is no JSON object of keys by their names: set it again`);
}
