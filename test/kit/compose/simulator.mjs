// Runs the simulated provider within the image of the orchestrator. Its pods are processes beside it.
function app(file) {
  return import(`/app/dist/src/${file}`);
}
const { createLogger } = await app("logger.js");
const { startGuardian } = await app("process/guardian.js");
const { createPodLauncher } = await app("simulator/pod-process.js");
const { startSimulator } = await app("simulator/simulator.js");

const guardian = await startGuardian({ logger: createLogger({ level: "warn", name: "simulator" }) });
const simulator = await startSimulator({
  launch: createPodLauncher({ guardian }),
  dataDir: "/tmp/simulator",
  port: 54390,
  apiKey: process.env.SIMULATOR_KEY,
  settings: { provisioningMs: 200, startingMs: 200 },
});
process.stdout.write(`simulator at ${simulator.apiUrl}\n`);
process.once("SIGTERM", async () => {
  await simulator.close();
  await guardian.close();
});
