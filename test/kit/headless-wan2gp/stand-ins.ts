import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { fileURLToPath } from "node:url";
import { findPython } from "./lay-out.ts";

const DOUBLE = fileURLToPath(new URL("worker.py", import.meta.url));
const WHEELS = ["wheel", "torch", "engine_needs", "worker_needs"] as const;
/** Wan2GP, as far as a preparation calls it. It checks that its packages are there, and fetches what nothing else names. */
const WGP = `import os, torch, engine_needs
transformer_quantization, transformer_dtype_policy = "int8", ""
def get_model_filename(model, quantization="int8", dtype_policy="", module_type=None, submodel_no=1, URLs=None):
    return "one" if submodel_no == 1 else ""
def get_model_recursive_prop(model, prop="URLs", return_list=True):
    return []
def download_models(name, model, module_type=False, submodel_no=1):
    with open(os.path.join("ckpts", "text-encoder-of-" + model), "w") as file:
        file.write("x" * 100)
`;
/** A wheel is an archive with three files of metadata. */
const MAKE_WHEELS = `import sys, zipfile
folder, names = sys.argv[1], sys.argv[2:]
for name in names:
    info = name + "-2.0.0.dist-info/"
    with zipfile.ZipFile(f"{folder}/{name}-2.0.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(name + "/__init__.py", "")
        wheel.writestr(info + "METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: 2.0.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
`;

/** The server of the weights. */
export interface WeightServer {
  readonly url: string;
  readonly files: Map<string, Buffer>;
  /** Method, path and range of each request. */
  readonly requests: string[];
  /** Sends half of the next file and then nothing more. Resolves as soon as the half is sent. */
  stallNext(): Promise<void>;
  close(): void;
}

export async function startWeightServer(): Promise<WeightServer> {
  const files = new Map<string, Buffer>();
  const requests: string[] = [];
  let stall: (() => void) | null = null;
  const server = createServer((request, reply) => {
    const { method = "", url = "", headers } = request;
    requests.push([method, url, headers.range ?? ""].join(" ").trim());
    const content = files.get(url);
    if (content === undefined) {
      reply.writeHead(404).end();
      return;
    }
    const from = Number(/bytes=(\d+)-/.exec(headers.range ?? "")?.[1] ?? 0);
    const rest = content.subarray(from);
    reply.writeHead(from > 0 ? 206 : 200, { "content-length": rest.length });
    if (method === "HEAD") {
      reply.end();
    } else if (stall === null) {
      reply.end(rest);
    } else {
      const stalled = stall;
      stall = null;
      reply.write(rest.subarray(0, rest.length / 2), () => stalled());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    files,
    requests,
    stallNext: () => new Promise((resolve) => (stall = resolve)),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/**
 * Small stand-ins for all that a preparation fetches: a repository with one model of two files, the packages, the weights.
 * @param folder is filled
 * @returns the settings by which a preparation uses them
 */
export async function layOutStandIns(folder: string, weights: WeightServer): Promise<Record<string, string>> {
  const [repository, wheels] = [join(folder, "repository"), join(folder, "wheels")];
  const python = await findPython();
  await mkdir(wheels, { recursive: true });
  await execa(python, ["-c", MAKE_WHEELS, wheels, ...WHEELS]);
  for (const half of ["high", "low"]) {
    weights.files.set(`/${half}_mbf16.safetensors`, Buffer.alloc(10));
    weights.files.set(`/${half}_quanto_mbf16_int8.safetensors`, Buffer.alloc(3_000_000, half));
  }
  const urls = (half: string) =>
    ["mbf16", "quanto_mbf16_int8"].map((kind) => `${weights.url}/${half}_${kind}.safetensors`);
  const model = { URLs: urls("high"), URLs2: urls("low"), architecture: "t2v_2_2" };
  const files = {
    "worker.py": await readFile(DOUBLE, "utf8"),
    "requirements.txt": "worker_needs\n",
    "Wan2GP/wgp.py": WGP,
    "Wan2GP/requirements.txt": "engine_needs\n",
    "Wan2GP/defaults/t2v_2_2.json": JSON.stringify({ model }),
    "Wan2GP/defaults/cocktail.json": JSON.stringify({ model: { URLs: "t2v_2_2", URLs2: "t2v_2_2" } }),
  };
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(repository, path)), { recursive: true });
    await writeFile(join(repository, path), content);
  }
  const git = (...args: string[]) =>
    execa("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: repository });
  await git("init", "-q");
  await git("add", "-A");
  await git("commit", "-q", "-m", "stand-in");
  const { stdout: commit } = await git("rev-parse", "HEAD");
  return {
    HEADLESS_WAN2GP_REPOSITORY: repository,
    HEADLESS_WAN2GP_COMMIT: commit,
    HEADLESS_WAN2GP_MODELS: "t2v_2_2 cocktail",
    HEADLESS_WAN2GP_PYTHON: python,
    HEADLESS_WAN2GP_TORCH: "torch==2.0.0",
    WORKER_ENV: JSON.stringify([
      "PIP_NO_INDEX=1",
      `PIP_FIND_LINKS=${wheels}`,
      "PIP_NO_COMPILE=1",
      "POD_JOB_REPORT_SEC=1",
    ]),
  };
}
