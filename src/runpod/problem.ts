import type { Answer } from "./exchange.ts";

/** The body as JSON; undefined: it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** An HTML page comes from a proxy in between, so it does not show what the provider did. */
export function isHtml(answer: Answer): boolean {
  return /^text\/html/i.test(answer.headers["content-type"] ?? "") || /^\s*</.test(answer.text);
}

/**
 * An answer in words: status, the problem's own text, and the request id to quote to the provider. A body is never
 * quoted whole, because a pod's body shows its environment in clear text. The caller must redact the result.
 */
export function describeAnswer(answer: Answer): string {
  const requestId = answer.headers["x-request-id"];
  return [`HTTP ${answer.status}`, problemText(answer), requestId && `(x-request-id ${requestId})`]
    .filter(Boolean)
    .join(" ");
}

function problemText(answer: Answer): string {
  if (isHtml(answer)) {
    const heading = /<(title|h1)[^>]*>([^<]*)</i.exec(answer.text)?.[2] ?? answer.text.replace(/<[^>]*>/g, " ");
    return `an HTML page: ${heading.replace(/\s+/g, " ").trim()}`;
  }
  const problem = asRecord(parseJson(answer.text));
  if (!problem) {
    return `${Buffer.byteLength(answer.text)} bytes of ${answer.headers["content-type"] ?? "unnamed type"}`;
  }
  const texts = [problem["title"], problem["detail"], problem["message"], problem["error"]].filter(isText);
  const errors = Array.isArray(problem["errors"]) ? problem["errors"].map(fieldError).filter(isText) : [];
  return [[...new Set(texts)].join(": "), errors.join("; ")].filter(Boolean).join(" · ");
}

function fieldError(error: unknown): string | undefined {
  if (isText(error)) {
    return error;
  }
  const entry = asRecord(error);
  const place = [entry?.["location"], entry?.["pointer"], entry?.["path"], entry?.["field"]].find(isText);
  const text = [entry?.["message"], entry?.["detail"]].find(isText);
  return place && text ? `${place}: ${text}` : (text ?? place);
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}
