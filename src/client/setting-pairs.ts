import { ClientError, EXIT } from "./errors.ts";
import { plain } from "./render/output.ts";

/** @throws ClientError when one of them is no key=value, or a key comes twice */
export function parsePairs(pairs: readonly string[]): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    const key = pair.slice(0, Math.max(0, at)).trim();
    if (key === "" || Object.hasOwn(patch, key)) {
      const problem = key === "" ? "is no key=value" : "names its key a second time";
      throw new ClientError(EXIT.usage, `${plain(pair)} ${problem}`, "Expected one such as maxActiveGpus=4 each.");
    }
    patch[key] = parseValue(pair.slice(at + 1));
  }
  return patch;
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
