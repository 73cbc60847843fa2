export { gpuPool } from "./gpu-pool.ts";
export { gpuWorker } from "./gpu-worker.ts";
export { janitor } from "./janitor.ts";
export { notifications } from "./notifications.ts";
