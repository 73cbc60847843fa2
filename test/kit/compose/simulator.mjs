// Runs the simulated provider within the image of the orchestrator. Its pods are processes beside it.
import { createLogger } from "/app/dist/src/logger.js";
import { startGuardian } from "/app/dist/src/process/guardian.js";
import { createPodLauncher } from "/app/dist/src/simulator/pod-process.js";
import { startSimulator } from "/app/dist/src/simulator/simulator.js";

const guardian = await startGuardian({ logger: createLogger({ level: "warn", name: "simulator" }) });
const simulator = await startSimulator({
  launch: createPodLauncher({ guardian }),
  dataDir: "/tmp/simulator",
  port: 54390,
  apiKey: process.env.SIMULATOR_KEY,
  settings: { provisioningMs: 200, startingMs: 200 },
});
console.log(`simulator at ${simulator.apiUrl}`);
process.once("SIGTERM", async () => {
  await simulator.close();
  await guardian.close();
});
