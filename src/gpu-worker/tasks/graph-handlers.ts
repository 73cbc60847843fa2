import type { TypeHandlers } from "./handler.ts";

export const GRAPH_HANDLERS: TypeHandlers = {};
