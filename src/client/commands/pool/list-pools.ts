import { readView } from "../../../supabase/views.ts";
import type { Context } from "../../context.ts";
import type { JsonOptions } from "../../options.ts";
import { formatDuration } from "../../render/durations.ts";
import { plain, type Style } from "../../render/output.ts";
import { renderTable } from "../../render/table.ts";

type PoolRow = Awaited<ReturnType<typeof readView<"orchestrator_status">>>[number];

export async function listPools(context: Context, { json }: JsonOptions): Promise<void> {
  const { output } = context;
  const pools = await readView(await context.connections.database(), "orchestrator_status");
  if (json) {
    output.printJson(pools);
  } else if (pools.length === 0) {
    output.note("there is no pool yet: see gpu-pool pool start --help");
  } else {
    output.print(renderPools(pools, output.size().columns, output.style));
  }
}

export function renderPools(pools: readonly PoolRow[], width: number, style: Style): string[] {
  return renderTable(
    [
      { title: "POOL", value: ({ pool }) => plain(pool ?? "-") },
      { title: "WISH", value: ({ mode, hold }) => `${mode}${hold === null ? "" : `, held at ${hold}`}` },
      { title: "QUEUED", value: ({ queued }) => String(queued), align: "right" },
      { title: "RUNNING", value: ({ running }) => String(running), align: "right" },
      { title: "SPAWNING", value: ({ spawning }) => String(spawning), align: "right", dropOrder: 2 },
      { title: "ACTIVE", value: ({ active }) => String(active), align: "right" },
      { title: "LEAVING", value: ({ terminating }) => String(terminating), align: "right", dropOrder: 3 },
      { title: "$/H", value: ({ cost_per_hr_usd: usd }) => Number(usd).toFixed(2), align: "right", dropOrder: 1 },
      {
        title: "OBSERVED",
        value: ({ observed_age_sec: age }) => (age === null ? "never" : `${formatDuration(age * 1000)} ago`),
      },
    ],
    pools,
    width,
    style,
  );
}
