import { open } from "node:fs/promises";
import { join } from "node:path";

/** File with the output of a pod's container. */
export function podLogPath(dataDir: string, podId: string): string {
  return join(dataDir, "pods", `${podId}.log`);
}

/**
 * Follows a growing file: each call resolves to the complete lines written since the call before. A missing file has
 * no lines.
 */
export function followLines(path: string): () => Promise<string[]> {
  let offset = 0;
  return async () => {
    const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") {
        return null;
      }
      throw error;
    });
    if (!file) {
      return [];
    }
    try {
      const { size } = await file.stat();
      const buffer = Buffer.alloc(Math.max(0, size - offset));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
      const end = buffer.subarray(0, bytesRead).lastIndexOf(10);
      if (end < 0) {
        return [];
      }
      offset += end + 1;
      return buffer.toString("utf8", 0, end).split("\n");
    } finally {
      await file.close();
    }
  };
}
