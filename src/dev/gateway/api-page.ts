import type { openApiDocument } from "../../../supabase/functions/_shared/openapi.ts";

interface Operation {
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: { name: string; description: string }[];
  readonly responses: Record<string, { description?: string; $ref?: string }>;
}

const METHODS = ["get", "post", "delete"];
const STYLE =
  "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}" +
  "code,pre{font-family:ui-monospace,monospace}pre{background:#f4f4f4;padding:1rem;overflow:auto}h2{margin-top:2rem}";

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[char]!);
}

/** The API's document as one HTML page that loads no other resource. */
export function apiPage(document: ReturnType<typeof openApiDocument>): string {
  const shared: Record<string, { description: string }> = document.components.responses;
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = (item as Record<string, unknown>)[method] as Operation | undefined;
      if (operation === undefined) {
        return [];
      }
      const answers = Object.entries(operation.responses).map(
        ([status, { description }]) =>
          `<li><code>${status}</code> ${escape(description ?? shared[status]?.description ?? "")}</li>`,
      );
      const parameters = (operation.parameters ?? []).map(
        ({ name, description }) => `<li><code>${escape(name)}</code> ${escape(description)}</li>`,
      );
      const text = `${operation.summary}. ${operation.description ?? ""}`;
      return [
        `<h2><code>${method.toUpperCase()} ${escape(path)}</code></h2><p>${escape(text)}</p>`,
        parameters.length > 0 ? `<p>Query</p><ul>${parameters.join("")}</ul>` : "",
        `<p>Answers</p><ul>${answers.join("")}</ul>`,
      ];
    }),
  );
  const schemas = escape(JSON.stringify(document.components.schemas, null, 2));
  const { title, description } = document.info;
  return (
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(title)}</title><style>${STYLE}</style>` +
    `<h1>${escape(title)}</h1><p>${escape(description)} Every request carries <code>Authorization: Bearer …</code>: ` +
    `${escape(document.components.securitySchemes.bearer.description)} The document for programs: ` +
    `<a href="openapi.json">openapi.json</a>.</p>${operations.join("")}<h2>Schemas</h2><pre>${schemas}</pre></html>`
  );
}
