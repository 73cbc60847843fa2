import { parentPort, workerData } from "node:worker_threads";
import { attack, type AttackOrder } from "./attack.ts";

parentPort?.postMessage(await attack(workerData as AttackOrder));
