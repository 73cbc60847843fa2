import type { TypeHandlers } from "./handler.ts";

export const UTILITY_HANDLERS: TypeHandlers = {};
