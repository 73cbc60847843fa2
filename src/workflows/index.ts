export { gpuPool } from "./pool/gpu-pool.ts";
export { gpuWorker } from "./worker/gpu-worker.ts";
export { janitor } from "./janitor.ts";
export { notifications } from "./notifications.ts";
