import type { Resolution } from "../../task-types/resolve.ts";
import { unknownFields } from "../../task-types/unknown-fields.ts";
import type { Resolved } from "../../task-types/resolved.ts";
import { plain, type Style } from "./output.ts";
import { renderTable } from "./table.ts";

/** The parameters of one task with where each comes from, as a table of at most `width` characters. */
export function renderResolved({ values, kept }: Resolution & { readonly ok: true }, width: number, style: Style) {
  const rows = [
    ...Object.entries(values).map(([name, found]) => ({ name, value: shown(found.value), from: origin(found) })),
    ...unknownFields(kept).map((name) => ({ name, value: shown(kept[name]), from: "no parameter of the type; kept" })),
  ];
  return renderTable(
    [
      { title: "PARAMETER", value: ({ name }) => plain(name) },
      { title: "VALUE", value: ({ value }) => value },
      { title: "FROM", value: ({ from }) => plain(from) },
    ],
    rows,
    width,
    style,
  );
}

function origin({ from, adjusted }: Resolved): string {
  const given = from.length === 0 ? "default" : from.join(", ");
  return adjusted === null ? given : `${given} (${shown(adjusted.from)}): ${adjusted.why}`;
}

function shown(value: unknown): string {
  return plain(JSON.stringify(value) ?? "");
}
