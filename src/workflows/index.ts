export { gpuPool } from "./pool/gpu-pool.ts";
export { gpuWorker } from "./worker/gpu-worker.ts";
export { podJob } from "./worker/pod-job.ts";
export { janitor } from "./janitor.ts";
export { notifications } from "./notifications.ts";
