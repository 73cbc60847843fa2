import { serve } from "../../src/worker/serve.ts";

// The Temporal worker process with the bundle that all tests share, because bundling takes three seconds of processor time.
const [codePath = ""] = process.argv.slice(2);
await serve({ bundle: { codePath } });
