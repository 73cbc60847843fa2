import { register } from "node:module";

// As tsx registers itself, but without loading it in this thread too, which would double the time to start. Without the
// maps a stack trace would name the lines of what tsx makes.
process.setSourceMapsEnabled(true);
register("tsx/esm", import.meta.url, { data: { tsconfig: false } });
