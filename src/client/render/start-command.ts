/** The command that starts a pool, for advice in texts. */
export function startCommand(pool: string): string {
  return `gpu-pool pool start${pool === "main" ? "" : ` --pool ${pool}`}`;
}
