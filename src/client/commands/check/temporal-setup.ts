import { setTimeout as sleep } from "node:timers/promises";
import { msToTs } from "@temporalio/common/lib/time.js";
import { SEARCH_ATTRIBUTES, searchAttributeCommand } from "../../../contract/search-attributes.ts";
import type { Temporal } from "../../temporal-connection.ts";
import type { Context } from "../../context.ts";
import { grpcReason } from "../../doctor/temporal.ts";
import { ClientError, EXIT } from "../../errors.ts";
import type { JsonOptions } from "../../options.ts";

const CALL_TIMEOUT_MS = 10_000;
/** A new namespace is known to all parts of the server only after some seconds. */
const SETTLE_TIMEOUT_MS = 60_000;
const POLL_MS = 500;
const DEFAULT_RETENTION_SEC = 7 * 86_400;
/** Value of the server's enum IndexedValueType. */
const KEYWORD = 2;

export interface SetupOptions extends JsonOptions {
  /** Seconds. */
  readonly retention?: number;
}

/** Makes what a self-hosted server's namespace lacks; run again it changes nothing. */
export async function setUpTemporal(context: Context, { retention, json = false }: SetupOptions): Promise<void> {
  const temporal = await context.connections.temporal();
  const { namespace } = temporal;
  try {
    const did = [...(await ensureNamespace(temporal, retention)), ...(await ensureSearchAttributes(temporal))];
    if (json) {
      context.output.printJson({ namespace, did });
    } else {
      context.output.print(did.length === 0 ? `namespace ${namespace}: nothing to do` : did);
    }
  } catch (error) {
    throw new ClientError(
      EXIT.failed,
      `temporal setup: namespace ${namespace}: ${grpcReason(error)}`,
      `Temporal Cloud lets only its own tools change a namespace. Make it in its console, then run:\n  ${onCloud(namespace, retention)}`,
      { cause: error },
    );
  }
}

function onCloud(namespace: string, retentionSec: number | undefined): string {
  const names = SEARCH_ATTRIBUTES.map(({ name }) => name);
  const days = Math.ceil((retentionSec ?? 0) / 86_400);
  const keep = `tcld namespace retention set --namespace ${namespace} --retention-days ${days}`;
  return [searchAttributeCommand(namespace, names), ...(days > 0 ? [keep] : [])].join("\n  ");
}

async function ensureNamespace(
  { client, namespace, within }: Temporal,
  retentionSec: number | undefined,
): Promise<string[]> {
  const call = client.workflowService;
  const described = await within(CALL_TIMEOUT_MS, () => call.describeNamespace({ namespace })).catch(
    (error: unknown) => {
      if (/not found/i.test(grpcReason(error))) {
        return null;
      }
      throw error;
    },
  );
  if (described === null) {
    const wanted = retentionSec ?? DEFAULT_RETENTION_SEC;
    await within(CALL_TIMEOUT_MS, () =>
      call.registerNamespace({ namespace, workflowExecutionRetentionPeriod: msToTs(wanted * 1000) }),
    );
    return [`namespace ${namespace}: made, ended workflows are kept for ${wanted / 3600} hours`];
  }
  const kept = Number(described.config?.workflowExecutionRetentionTtl?.seconds ?? 0);
  if (retentionSec === undefined || kept === retentionSec) {
    return [];
  }
  await within(CALL_TIMEOUT_MS, () =>
    call.updateNamespace({ namespace, config: { workflowExecutionRetentionTtl: msToTs(retentionSec * 1000) } }),
  );
  return [`namespace ${namespace}: ended workflows are kept for ${retentionSec / 3600} hours (before: ${kept / 3600})`];
}

/** A new namespace is unknown to parts of the server for some seconds, and a new attribute too. */
async function ensureSearchAttributes({ client, namespace, within }: Temporal): Promise<string[]> {
  const { operatorService } = client.connection;
  const missing = async () => {
    const { customAttributes } = await within(CALL_TIMEOUT_MS, () =>
      operatorService.listSearchAttributes({ namespace }),
    );
    return SEARCH_ATTRIBUTES.map(({ name }) => name).filter((name) => customAttributes?.[name] === undefined);
  };
  const deadlineMs = Date.now() + SETTLE_TIMEOUT_MS;
  const added = new Set<string>();
  for (;;) {
    try {
      const names = await missing();
      if (names.length === 0) {
        return [...added].map((name) => `search attribute ${name}: added`);
      }
      const searchAttributes = Object.fromEntries(names.map((name) => [name, KEYWORD]));
      await within(CALL_TIMEOUT_MS, () => operatorService.addSearchAttributes({ namespace, searchAttributes }));
      for (const name of names) {
        added.add(name);
      }
    } catch (error) {
      if (Date.now() >= deadlineMs || !/not found|already exists/i.test(grpcReason(error))) {
        throw error;
      }
    }
    await sleep(POLL_MS);
  }
}
