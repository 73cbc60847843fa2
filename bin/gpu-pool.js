#!/usr/bin/env node
import { existsSync } from "node:fs";

const source = new URL("../src/client/main.ts", import.meta.url);

// In a clone the sources count, however old the build is; an image holds the build alone.
if (existsSync(source)) {
  const { register } = await import("tsx/esm/api");
  register();
  await import(source.href);
} else {
  await import(new URL("../dist/src/client/main.js", import.meta.url).href);
}
