import { clearLine, cursorTo } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type DemoScreen, runDemo } from "../src/dev/demo/demo.ts";

const USAGE = `npm run demo -- [--keep]

Runs the main job on this machine: 12 video tasks, a pool that grows from zero to four workers and back.

  --keep   leave the stack up afterwards and print its URLs; Ctrl-C stops it
`;
const EX_USAGE = 2;
const EX_INTERRUPTED = 130;

function screen(): DemoScreen {
  const out = process.stdout;
  if (!out.isTTY) {
    let shown = "";
    return {
      line: (text) => void out.write(`${text}\n`),
      progress(text) {
        const state = text.replace(/^.*? s {2}/, "").replace(/ {2}· {2}\$.*$/, "");
        if (state !== shown) {
          shown = state;
          out.write(`${text}\n`);
        }
      },
    };
  }
  const erase = () => {
    clearLine(out, 0);
    cursorTo(out, 0);
  };
  return {
    line(text) {
      erase();
      out.write(`${text}\n`);
    },
    progress(text, short) {
      erase();
      // The terminal of a CI or a container may say that it has no columns.
      const columns = out.columns || 80;
      out.write((text.length < columns ? text : short).slice(0, columns - 1));
    },
  };
}

function parse(): { keep: boolean; help: boolean } {
  try {
    const { values } = parseArgs({
      options: { keep: { type: "boolean", default: false }, help: { type: "boolean", short: "h", default: false } },
    });
    return values;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(EX_USAGE);
  }
}

const { keep, help } = parse();
if (help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const stopping = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => {
    // A second signal ends this process at once; the guardian still ends what the demo started.
    if (stopping.signal.aborted) {
      process.exit(EX_INTERRUPTED);
    }
    process.stderr.write("\nStopping …\n");
    stopping.abort();
  });
}
const dataDir = fileURLToPath(new URL("../.gpu-pool/demo", import.meta.url));
try {
  process.exit(await runDemo({ keep, dataDir, signal: stopping.signal, show: screen() }));
} catch (error) {
  if (stopping.signal.aborted) {
    process.exit(EX_INTERRUPTED);
  }
  process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
