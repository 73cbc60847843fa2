import type { TypeHandlers } from "./handler.ts";

export const SERVICE_HANDLERS: TypeHandlers = {};
