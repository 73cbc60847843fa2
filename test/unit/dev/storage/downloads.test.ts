import { Readable } from "node:stream";
import Fastify from "fastify";
import { expect, it } from "vitest";
import type { StorageContext } from "../../../../src/dev/storage/context.ts";
import { openDownloadRoutes } from "../../../../src/dev/storage/downloads.ts";

function objectOf(version: string, text: string) {
  return {
    id: version,
    name: "a.txt",
    version,
    metadata: {
      eTag: `"${version}"`,
      size: text.length,
      mimetype: "text/plain",
      cacheControl: "no-cache",
      lastModified: new Date(0).toISOString(),
    },
  };
}

async function download(rows: unknown[], bytes: Record<string, string>) {
  const app = Fastify();
  openDownloadRoutes(app, {
    metadata: { bucket: async () => ({ public: true }), findObject: async () => rows.shift() ?? null },
    files: { open: async (version: string) => (version in bytes ? Readable.from([bytes[version]]) : null) },
  } as unknown as StorageContext);
  return app.inject({ url: "/object/public/videos/a.txt" });
}

it("A download whose bytes are replaced after its row was read answers with the new object", async () => {
  const answer = await download([objectOf("old", "first"), objectOf("new", "second"), objectOf("new", "second")], {
    new: "second",
  });
  expect(answer.statusCode).toBe(200);
  expect(answer.body).toBe("second");
  expect(answer.headers).toMatchObject({ etag: '"new"', "content-length": "6" });
});

it("A download is answered at once when its bytes are gone, whether the row is still there or not", async () => {
  const lost = objectOf("lost", "bytes");
  for (const rows of [[lost, lost], [lost]]) {
    expect((await download(rows, {})).json()).toMatchObject({ code: "not_found" });
  }
});
