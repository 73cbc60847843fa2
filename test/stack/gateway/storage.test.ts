import { randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GatewayStack, startGatewayStack } from "../../kit/gateway.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack("");
});
afterAll(() => stack?.close());

const bytes = randomBytes(300_000);
function service() {
  return stack.client(stack.keys.serviceRoleKey).storage;
}
function anon() {
  return stack.client(stack.keys.anonKey).storage;
}
function publicUrl(path: string) {
  return anon().from("videos").getPublicUrl(path).data.publicUrl;
}
async function bodyOf(answer: Response) {
  return Buffer.from(await answer.arrayBuffer());
}

/** Sends a path unchanged; fetch would normalise it. */
function rawStatus(path: string, method = "GET", headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(stack.gateway.url);
    const sent = httpRequest({ hostname, port, path, method, headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    sent.on("error", reject).end();
  });
}

describe("a download", () => {
  beforeAll(async () => {
    await service().from("videos").upload("read/clip.mp4", bytes, { contentType: "video/mp4" });
    await service().createBucket("private", { public: false });
    await service().from("private").upload("secret.txt", Buffer.from("secret"));
  });

  it("answers a range with 206 and exactly those bytes, and one beyond the end with 416", async () => {
    const part = await fetch(publicUrl("read/clip.mp4"), { headers: { range: "bytes=1000-1999" } });
    expect(part.status).toBe(206);
    expect(part.headers.get("content-range")).toBe(`bytes 1000-1999/${bytes.length}`);
    expect((await bodyOf(part)).equals(bytes.subarray(1000, 2000))).toBe(true);

    const beyond = await fetch(publicUrl("read/clip.mp4"), { headers: { range: "bytes=300000-" } });
    expect(beyond.status).toBe(416);
    expect(beyond.headers.get("content-range")).toBe(`bytes */${bytes.length}`);
  });

  it("answers HEAD with the size and no body, and a matching ETag with 304", async () => {
    const head = await fetch(publicUrl("read/clip.mp4"), { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(head.headers.get("content-length")).toBe(String(bytes.length));
    expect(await head.text()).toBe("");

    const etag = head.headers.get("etag")!;
    const again = await fetch(publicUrl("read/clip.mp4"), { headers: { "if-none-match": etag } });
    expect(again.status).toBe(304);
  });

  it("answers as an attachment with the requested file name", async () => {
    const url = anon().from("videos").getPublicUrl("read/clip.mp4", { download: "my clip.mp4" }).data.publicUrl;
    expect((await fetch(url)).headers.get("content-disposition")).toBe("attachment; filename*=UTF-8''my%20clip.mp4");
  });

  it("answers storage-api's 404 for an object that does not exist", async () => {
    const answer = await fetch(publicUrl("read/absent.mp4"));
    expect(answer.status).toBe(404);
    expect(await answer.json()).toEqual({ statusCode: "404", error: "not_found", message: "Object not found" });
    expect((await service().from("videos").exists("read/absent.mp4")).data).toBe(false);
    expect((await service().from("videos").exists("read/clip.mp4")).data).toBe(true);
  });

  it("needs, for a private bucket, the service key or a signed URL for that object", async () => {
    expect((await fetch(`${stack.gateway.url}/storage/v1/object/public/private/secret.txt`)).status).toBe(404);
    expect(await (await service().from("private").download("secret.txt")).data?.text()).toBe("secret");
    expect((await anon().from("private").download("secret.txt")).error).not.toBeNull();

    const signed = await service().from("private").createSignedUrl("secret.txt", 60);
    const url = signed.data!.signedUrl;
    expect(await (await fetch(url)).text()).toBe("secret");
    expect((await fetch(url.replace("private/secret.txt", "videos/read/clip.mp4"))).status).toBe(400);
    expect((await fetch(url.slice(0, -5))).status).toBe(400);
    expect((await fetch(url.replace("/object/sign/", "/object/upload/sign/"), { method: "PUT" })).status).toBe(400);

    const many = await service().from("private").createSignedUrls(["secret.txt", "absent.txt"], 60);
    expect(many.data?.map(({ error }) => error === null)).toEqual([true, false]);
  });
});

describe("the permissions of storage", () => {
  it("refuse uploads, lists, removals and buckets to anon", async () => {
    await service().from("videos").upload("closed/a.mp4", Buffer.from("stays"));
    const bucket = anon().from("videos");

    expect((await bucket.upload("closed/b.mp4", bytes)).error).toMatchObject({ status: 403 });
    expect((await bucket.update("closed/a.mp4", bytes)).error).toMatchObject({ status: 403 });
    expect((await bucket.list("closed")).data).toEqual([]);
    expect((await bucket.remove(["closed/a.mp4"])).data).toEqual([]);
    expect((await anon().createBucket("mine")).error).toMatchObject({ status: 403 });
    expect((await anon().emptyBucket("videos")).error).toMatchObject({ status: 403 });
    expect((await anon().listBuckets()).data).toEqual([]);
    expect(await (await fetch(publicUrl("closed/a.mp4"))).text()).toBe("stays");
  });

  it("require a key where nothing is public; an Authorization header alone is enough", async () => {
    const url = `${stack.gateway.url}/storage/v1/bucket`;
    expect((await fetch(url)).status).toBe(401);
    expect((await fetch(url, { headers: { apikey: "nonsense" } })).status).toBe(401);
    const bearer = (token: string) => fetch(url, { headers: { authorization: `Bearer ${token}` } });
    expect((await bearer("nonsense")).status).toBe(403);
    expect((await bearer(stack.keys.serviceRoleKey)).status).toBe(200);
  });

  it.each([
    "/storage/v1/object/public/videos/../../../../etc/hostname",
    "/storage/v1/object/public/videos/..%2f..%2f..%2fetc%2fhostname",
    "/storage/v1/object/public/..%2f/etc/hostname",
    "/storage/v1/object/public/videos/a%00b",
    `/storage/v1/object/public/videos/${"a".repeat(1025)}`,
    "/storage/v1/object/public/videos/",
  ])("refuse the path %s with 400", async (path) => {
    expect(await rawStatus(path)).toBe(400);
    const uploadPath = path.replace("/public", "");
    expect(await rawStatus(uploadPath, "POST", { authorization: `Bearer ${stack.keys.serviceRoleKey}` })).toBe(400);
  });
});

describe("a bucket", () => {
  it("can be made, read, changed, emptied and deleted, but not made twice or deleted while it holds objects", async () => {
    const storage = service();
    expect((await storage.createBucket("life", { public: false })).data).toEqual({ name: "life" });
    expect((await storage.createBucket("life")).error).toMatchObject({ status: 409 });
    expect((await storage.updateBucket("life", { public: true, fileSizeLimit: 1000 })).error).toBeNull();
    expect((await storage.getBucket("life")).data).toMatchObject({ id: "life", public: true, file_size_limit: 1000 });
    expect((await storage.listBuckets()).data?.map(({ id }) => id)).toEqual(expect.arrayContaining(["life", "videos"]));

    await storage.from("life").upload("a/b.txt", Buffer.from("x"));
    expect((await storage.deleteBucket("life")).error).toMatchObject({ status: 409 });
    expect((await storage.emptyBucket("life")).error).toBeNull();
    expect((await storage.deleteBucket("life")).error).toBeNull();
    expect((await storage.getBucket("life")).error).toMatchObject({ status: 404 });
  });

  it("lists the entries directly under a folder, sorted, searched and in pages, without removed objects", async () => {
    await service().createBucket("listed", { public: true });
    const bucket = service().from("listed");
    for (const name of ["t1/a.mp4", "t1/b.jpg", "t1/deep/c.mp4", "t2/d.mp4", "top.txt"]) {
      await bucket.upload(name, Buffer.from(name));
    }
    const names = async (...args: Parameters<typeof bucket.list>) =>
      (await bucket.list(...args)).data?.map(({ name, id }) => (id === null ? `${name}/` : name));

    expect(await names()).toEqual(["t1/", "t2/", "top.txt"]);
    expect(await names("t1")).toEqual(["a.mp4", "b.jpg", "deep/"]);
    expect(await names("t1", { sortBy: { column: "name", order: "desc" }, limit: 2 })).toEqual(["deep/", "b.jpg"]);
    expect(await names("t1", { offset: 1 })).toEqual(["b.jpg", "deep/"]);
    expect(await names("t1", { search: "B" })).toEqual(["b.jpg"]);
    expect((await bucket.list("t1")).data?.[0]?.metadata).toMatchObject({ size: 8 });

    const removed = await bucket.remove(["t1/a.mp4", "absent"]);
    expect(removed.data?.map(({ name }) => name)).toEqual(["t1/a.mp4"]);
    expect(await names("t1")).toEqual(["b.jpg", "deep/"]);
    expect((await fetch(bucket.getPublicUrl("t1/a.mp4").data.publicUrl)).status).toBe(404);
  });
});

it("After all these tests every file on disk has a row, and every row has a file", async () => {
  expect(await stack.unmatchedVersions()).toEqual([]);
});
