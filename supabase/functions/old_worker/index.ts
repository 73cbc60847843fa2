import "../old-worker/index.ts";
