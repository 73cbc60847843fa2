export { gpuPool } from "./gpu-pool.ts";
export { gpuWorker } from "./gpu-worker.ts";
