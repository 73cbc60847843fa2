import { randomBytes, randomUUID } from "node:crypto";
import fastify, { type FastifyInstance } from "fastify";
import { registerBalanceRoute, registerLimitsRoute } from "./account/account-routes.ts";
import { registerBillingRoutes } from "./account/billing-routes.ts";
import { registerRegistryRoutes } from "./account/registry-routes.ts";
import { registerVolumeRoutes } from "./account/volume-routes.ts";
import { createVolumes } from "./account/volumes.ts";
import { registerControlRoutes } from "./control-routes.ts";
import { foreignRequest } from "../process/foreign-request.ts";
import { createControls, type SimulatorControls } from "./controls.ts";
import { createFaults } from "./faults.ts";
import { createFleet } from "./fleet.ts";
import { registerGatekeeper } from "./gatekeeper.ts";
import { registerLogRoute } from "./log-route.ts";
import { registerCatalogRoutes } from "./market/catalog-routes.ts";
import { createMarket } from "./market/market.ts";
import { registerPodRoutes } from "./pod-routes.ts";
import { sendProblem } from "./problems.ts";
import { recordRequests } from "./request-log.ts";
import { DEFAULT_SETTINGS, settingsSchema, type SimulatorSettings } from "./settings.ts";
import type { SimulatorState } from "./state.ts";
import type { LaunchPod, RequestLogEntry } from "./types.ts";

export interface SimulatorOptions {
  /** Starts a pod's container: `createPodLauncher` (processes) or `createLightPodLauncher` (within this process). */
  readonly launch: LaunchPod;
  /** Folder of the pods' logs, `<dataDir>/pods/<pod id>.log`, and of the network volumes, `<dataDir>/volumes/<volume id>/`. */
  readonly dataDir: string;
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default: a new random key. */
  readonly apiKey?: string;
  readonly settings?: Partial<SimulatorSettings>;
  /** Clock for billing and time stamps, in ms epoch. Phases always follow real time. */
  readonly now?: () => number;
}

export type Simulator = SimulatorControls & {
  /** Origin; the control routes are under `<url>/_sim`. */
  readonly url: string;
  /** The provider's address for clients: `<url>/v2`. */
  readonly apiUrl: string;
  readonly apiKey: string;
  /** Ends every pod's process, then the server. */
  close(): Promise<void>;
};

/**
 * Starts a simulator of Runpod's REST v2 on 127.0.0.1. All its state is in memory.
 * @throws when the port is taken or a setting is out of range.
 */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { launch, dataDir, port = 0, now = Date.now } = options;
  const apiKey = options.apiKey ?? `rpa_${randomBytes(20).toString("hex")}`;
  let settings = settingsSchema.parse({ ...DEFAULT_SETTINGS, ...options.settings });
  const closing = new AbortController();
  const fleet = createFleet({ settings: () => settings, now, launch, dataDir });
  const volumes = createVolumes(dataDir, now);
  const state: SimulatorState = {
    fleet,
    market: createMarket(),
    volumes,
    registries: new Map(),
    faults: createFaults(),
    settings: () => settings,
    now,
    dataDir,
    apiKey,
    closing: closing.signal,
  };
  const requests: RequestLogEntry[] = [];
  const controls = createControls(state, requests, (changed) => (settings = changed));

  const app = fastify({ genReqId: () => randomUUID(), forceCloseConnections: true });
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
    const problem = foreignRequest(request.headers);
    return problem === null ? undefined : sendProblem(reply, 403, problem);
  });
  await registerApi(app, state, requests);
  await app.register(async (control) => registerControlRoutes(control, controls), { prefix: "/_sim" });
  const url = await app.listen({ host: "127.0.0.1", port });

  let closed: Promise<void> | null = null;
  const close = async (): Promise<void> => {
    closing.abort();
    await fleet.close();
    await app.close();
    await volumes.close();
  };
  return { ...controls, url, apiUrl: `${url}/v2`, apiKey, close: () => (closed ??= close()) };
}

async function registerApi(app: FastifyInstance, state: SimulatorState, requests: RequestLogEntry[]): Promise<void> {
  const guarded = (routes: (api: FastifyInstance) => void) => async (api: FastifyInstance) => {
    recordRequests(api, requests, state.now);
    registerGatekeeper(api, state);
    routes(api);
  };
  const routes = [
    registerPodRoutes,
    registerLogRoute,
    registerCatalogRoutes,
    registerVolumeRoutes,
    registerRegistryRoutes,
    registerBillingRoutes,
    registerLimitsRoute,
  ];
  const registerAll = (api: FastifyInstance) => {
    for (const register of routes) {
      register(api, state);
    }
  };
  await app.register(guarded(registerAll), { prefix: "/v2" });
  await app.register(guarded((api) => registerBalanceRoute(api, state)));
}
