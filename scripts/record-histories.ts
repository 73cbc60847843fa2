import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { historyToJSON } from "@temporalio/common/lib/proto-utils.js";
import { pino } from "pino";
import { SEARCH_ATTRIBUTES } from "../src/contract/search-attributes.ts";
import { freePort } from "../src/dev/servers/free-port.ts";
import { startGuardian } from "../src/process/guardian.ts";
import { findTemporalBinary } from "../src/dev/servers/temporal-binary.ts";
import { startTemporalServer } from "../src/dev/servers/temporal-server.ts";
import { bundleWorkflows } from "../src/worker/workflow-bundle.ts";
import { STORIES } from "../test/kit/replay/stories.ts";
import { startFakeService } from "../test/kit/workflow/fake-service.ts";

/** Runs the stories that have no history yet, on a Temporal server of their own, and stores the recorded histories. */
const histories = new URL("../test/replay/histories/", import.meta.url);
function fileOf(name: string, run: number) {
  return new URL(`${name}${run === 0 ? "" : `-${run + 1}`}.json`, histories);
}

const missing = STORIES.filter(({ name }) => !existsSync(fileOf(name, 0)));
if (missing.length === 0) {
  console.log(
    "Every story has its history. Delete none to please a change; test/replay/README.md says when that was allowed.",
  );
  process.exit(0);
}

const logger = pino({ level: "warn" }, process.stderr);
const guardian = await startGuardian({ logger });
try {
  const { path: binary } = await findTemporalBinary({ logger });
  const searchAttributes = Object.fromEntries(SEARCH_ATTRIBUTES.map(({ name }) => [name, "Keyword"] as const));
  const { address } = await startTemporalServer({ guardian, logger, binary, port: await freePort(), searchAttributes });
  const bundle = await bundleWorkflows();
  const service = await startFakeService({ address, bundle, identity: "recorder" });
  await mkdir(histories, { recursive: true });
  for (const { name, timings, play } of missing) {
    const stage = service.open(timings);
    const runs = await play(stage);
    for (const [run, handle] of runs.entries()) {
      await writeFile(fileOf(name, run), historyToJSON(await handle.fetchHistory()));
    }
    await stage.close();
    console.log(`recorded ${name} (${runs.length} ${runs.length === 1 ? "run" : "runs"})`);
  }
  await service.close();
} finally {
  await guardian.close();
}
