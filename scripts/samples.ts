import { fileURLToPath } from "node:url";
import { makeSamples } from "../src/dev/samples/make-samples.ts";

const folder = process.argv[2] ?? fileURLToPath(new URL("../samples", import.meta.url));

const { pictures, mask, clips } = await makeSamples(folder, process.env["FFMPEG_PATH"] ?? null);
console.log([...pictures, mask, ...clips].join("\n"));
