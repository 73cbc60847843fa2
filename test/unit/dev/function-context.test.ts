import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeKeys } from "../../../src/dev/gateway/auth.ts";
import { createFunctionContext } from "../../../src/dev/gateway/functions-host.ts";

let server: Server;
let asked: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ url: "/object/upload/sign/videos/a.mp4?token=t" }));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", () => resolve()));
});
afterAll(() => void server?.close());

it.each(["https://gpu.example.com", "https://GPU.example.com:443/project"])(
  "functions publish files under %s, but ask the gateway at its own address",
  async (publicUrl) => {
    asked = [];
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const files = createFunctionContext({ url, publicUrl }, await makeKeys(), "videos").asService();
    const bucket = files.storage.from("videos");
    const base = new URL(publicUrl).href.replace(/\/$/, "");
    expect(bucket.getPublicUrl("a.mp4").data.publicUrl).toBe(`${base}/storage/v1/object/public/videos/a.mp4`);
    const { data } = await bucket.createSignedUploadUrl("a.mp4");
    expect(data?.signedUrl).toBe(`${base}/storage/v1/object/upload/sign/videos/a.mp4?token=t`);
    await files.rpc("task_counts", {});
    expect(asked).toEqual(["POST /storage/v1/object/upload/sign/videos/a.mp4", "POST /rest/v1/rpc/task_counts"]);
  },
);
