#!/usr/bin/env node
import { existsSync } from "node:fs";

const built = new URL("../dist/src/client/main.js", import.meta.url);

if (existsSync(built)) {
  await import(built.href);
} else {
  const { register } = await import("tsx/esm/api");
  register();
  await import(new URL("../src/client/main.ts", import.meta.url).href);
}
