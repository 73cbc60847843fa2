import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openQueueApi, type QueueApi } from "../kit/queue-api.ts";
import { send } from "../kit/security/web-page.ts";

const BOUNDARY = "a-boundary-that-no-field-holds";
const SCRIPT = "<script>fetch('/rest/v1/tasks')</script>";
/** Types that make a browser run what is in a file, some only by how they are written. */
const ACTIVE = [
  "text/html",
  "TEXT/HTML; charset=utf-8",
  "image/svg+xml",
  "Image/SVG+XML;x=y",
  "application/xhtml+xml",
  "text/xml",
  "application/pdf",
  "text/javascript",
  "application/wasm",
  "text/css",
  "text/plain",
  "multipart/x-mixed-replace; boundary=a",
  "image/png, text/html",
  "image/png\ttext/html",
  "image",
  "video/*",
  "x-unknown/x-unknown",
];

describe("files that others uploaded", () => {
  let api: QueueApi;
  let url: (path: string) => string;
  beforeAll(async () => {
    api = await openQueueApi();
    url = (path) => `${api.url}/storage/v1/object/${path}`;
  });
  afterAll(async () => await api?.close());

  /** As a form, whose fields may say what a header may not. */
  async function upload(name: string, fields: Record<string, string>): Promise<void> {
    const part = (about: string, text: string) =>
      `--${BOUNDARY}\r\ncontent-disposition: form-data; ${about}\r\n\r\n${text}\r\n`;
    const body =
      Object.entries(fields)
        .map(([field, text]) => part(`name="${field}"`, text))
        .join("") + `${part('name="file"; filename="a"', SCRIPT)}--${BOUNDARY}--\r\n`;
    const headers = {
      authorization: `Bearer ${api.keys.serviceRoleKey}`,
      "content-type": `multipart/form-data; boundary=${BOUNDARY}`,
    };
    const answer = await send(url(`videos/${name}`), { method: "POST", headers, body });
    expect(answer).toMatchObject({ status: 200 });
  }

  it("act as no page and no script on the gateway's origin, whatever type they have and whoever asks", async () => {
    const service = { authorization: `Bearer ${api.keys.serviceRoleKey}` };
    for (const [index, type] of ACTIVE.entries()) {
      await upload(`pages/${index}`, { contentType: type });
      const doors = [
        send(url(`public/videos/pages/${index}`)),
        send(url(`public/videos/pages/${index}`), { method: "HEAD" }),
        send(url(`public/videos/pages/${index}`), { headers: { range: "bytes=0-8" } }),
        send(url(`videos/pages/${index}`), { headers: service }),
        send(url(`authenticated/videos/pages/${index}`), { headers: service }),
      ];
      for (const { status, headers } of await Promise.all(doors)) {
        expect({ type, ok: status === 200 || status === 206, headers }).toMatchObject({
          type,
          ok: true,
          headers: {
            "content-type": "application/octet-stream",
            "content-disposition": "attachment",
            "x-content-type-options": "nosniff",
            "content-security-policy": expect.stringMatching(/default-src 'none'.*sandbox/),
          },
        });
      }
    }
  });

  it("are shown in place if they are pictures or films, and still run nothing", async () => {
    for (const type of ["image/png", "IMAGE/JPEG", "video/mp4", "video/mp4; codecs=avc1"]) {
      const name = `shown/${type.replaceAll(/\W/g, "_")}`;
      await upload(name, { contentType: type });
      const { headers } = await send(url(`public/videos/${name}`));
      expect(headers).toMatchObject({
        "content-type": type.split(";")[0]!.toLowerCase(),
        "x-content-type-options": "nosniff",
        "content-security-policy": expect.stringMatching(/default-src 'none'.*sandbox/),
      });
      expect(headers["content-disposition"]).toBeUndefined();
    }
  });

  it("put no header of their uploader's into an answer that cannot be sent", async () => {
    await upload("forged", { cacheControl: "1\r\nset-cookie: a=b", contentType: "video/mp4\r\nx: y" });
    const { status, headers: got } = await send(url("public/videos/forged"));
    expect({ status, cookie: got["set-cookie"] }).toEqual({ status: 200, cookie: undefined });
    expect(got).toMatchObject({ "cache-control": "no-cache", "content-type": "application/octet-stream" });
  });

  it("and every other answer of the gateway are data to a browser", async () => {
    const paths = [
      "/",
      "/healthz",
      "/rest/v1/tasks",
      "/storage/v1/object/public/videos/%3Cscript%3E",
      "/api/openapi.json",
    ];
    const more = ["/functions/v1/%3Cscript%3E", "/functions/v1/task-counts", "/api/tasks", "/storage/v1/bucket"];
    for (const path of [...paths, ...more]) {
      const { headers } = await send(`${api.url}${path}`);
      expect({ path, headers }).toMatchObject({
        path,
        headers: {
          "x-content-type-options": "nosniff",
          "content-security-policy": expect.stringContaining("default-src 'none'"),
        },
      });
      expect({ path, type: headers["content-type"] }).not.toMatchObject({ type: expect.stringContaining("html") });
    }
    const page = await send(`${api.url}/api/docs`);
    expect(page.headers["content-security-policy"]).not.toContain("script");
  });
});
