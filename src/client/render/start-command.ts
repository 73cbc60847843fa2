/** What starts a pool, as an advice. */
export function startCommand(pool: string): string {
  return `gpu-pool pool start${pool === "main" ? "" : ` --pool ${pool}`}`;
}
