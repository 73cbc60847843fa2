#!/usr/bin/env node
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const source = new URL("../src/client/main.ts", import.meta.url);

// A clone runs from its sources, because a build there may be old. An image holds only the build.
if (existsSync(source)) {
  await import("./register-tsx.js").catch((error) => {
    if (error.code !== "ERR_MODULE_NOT_FOUND") {
      throw error;
    }
    const root = fileURLToPath(new URL("..", import.meta.url));
    process.stderr.write(`gpu-pool: its dependencies are not installed; run npm ci in ${root}\n`);
    process.exit(1);
  });
  await import(source.href);
} else {
  await import(new URL("../dist/src/client/main.js", import.meta.url).href);
}
