import type { Schema } from "./generated-types.ts";

/** Under this key a Database holds its supabase-js client. Only the stores of this room may import it. */
export const TABLES = Symbol("the tables and functions of the database");

type Public = Schema["public"];

export type Row<T extends keyof Public["Tables"]> = Public["Tables"][T]["Row"];
export type NewRow<T extends keyof Public["Tables"]> = Public["Tables"][T]["Insert"];
export type Change<T extends keyof Public["Tables"]> = Public["Tables"][T]["Update"];
export type Views = Public["Views"];
