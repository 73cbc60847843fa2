export function startCommand(pool: string): string {
  return `gpu-pool pool start${pool === "main" ? "" : ` --pool ${pool}`}`;
}
