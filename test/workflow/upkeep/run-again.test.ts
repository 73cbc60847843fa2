import { randomUUID } from "node:crypto";
import { Client, Connection } from "@temporalio/client";
import { NativeConnection, Worker } from "@temporalio/worker";
import { pino } from "pino";
import { expect, inject, it } from "vitest";
import { runAgain } from "../../../src/worker/run-again.ts";
import { bundleWorkflows } from "../../../src/worker/workflow-bundle.ts";
import { installQuietRuntime } from "../../kit/temporal/quiet-runtime.ts";

it("a workflow that ends the sandbox ends neither the process nor the service", async () => {
  installQuietRuntime();
  const { temporalAddress: address } = inject("shared");
  const workflowBundle = await bundleWorkflows(new URL("../../kit/workflow/deadly-workflow.ts", import.meta.url));
  const [clientConnection, connection] = await Promise.all([
    Connection.connect({ address }),
    NativeConnection.connect({ address }),
  ]);
  const temporal = new Client({ connection: clientConnection });
  const taskQueue = `deadly-${randomUUID()}`;
  const workers: Worker[] = [];
  const create = async () => {
    const worker = await Worker.create({ connection, taskQueue, workflowBundle });
    workers.push(worker);
    return worker;
  };
  const options = { taskQueue, args: [] as [] };
  const deadly = await temporal.workflow.start("deadly", { ...options, workflowId: `${taskQueue}-1` });
  const running = runAgain(create, pino({ level: "silent" }), new AbortController().signal);
  await expect.poll(() => workers.length).toBe(2);
  await deadly.terminate("it has shown what it can do");
  const done = temporal.workflow.execute("harmless", { ...options, workflowId: `${taskQueue}-2` });
  expect(await done).toBe("done");
  await expect.poll(() => workers.at(-1)?.getState()).toBe("RUNNING");
  workers.at(-1)?.shutdown();
  await running;
  await connection.close();
  await clientConnection.close();
});
