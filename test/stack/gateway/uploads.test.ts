import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { Readable } from "node:stream";
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

describe("an upload by the service role", () => {
  it.each([
    ["a Buffer", () => bytes],
    ["a Blob", () => new Blob([bytes], { type: "video/mp4" })],
    ["a Node stream", () => Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)])],
    [
      "a form",
      () => {
        const form = new FormData();
        form.append("file", new Blob([bytes], { type: "video/mp4" }), "clip.mp4");
        return form;
      },
    ],
  ])("from %s can be downloaded byte for byte from its public URL without a key", async (what, body) => {
    const path = `kinds/${what.replaceAll(" ", "-")}.mp4`;
    const uploaded = await service().from("videos").upload(path, body(), { contentType: "video/mp4" });
    expect(uploaded).toMatchObject({ error: null, data: { path, fullPath: `videos/${path}` } });

    const answer = await fetch(publicUrl(path));
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("video/mp4");
    expect(answer.headers.get("content-length")).toBe(String(bytes.length));
    expect((await bodyOf(answer)).equals(bytes)).toBe(true);
  });

  it("writes a row in storage.objects with the metadata that hosted Supabase writes", async () => {
    const uploaded = await service()
      .from("videos")
      .upload("rows/a.mp4", bytes, { contentType: "video/mp4", cacheControl: "60", metadata: { attempt: 2 } });
    const { rows } = await stack.database.query("select * from storage.objects where name = 'rows/a.mp4'");

    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ id: uploaded.data?.id, bucket_id: "videos", user_metadata: { attempt: 2 } });
    expect(rows[0].metadata).toEqual({
      eTag: expect.stringMatching(/^"[0-9a-f]{32}"$/),
      size: bytes.length,
      mimetype: "video/mp4",
      cacheControl: "max-age=60",
      lastModified: expect.stringMatching(/Z$/),
      contentLength: bytes.length,
      httpStatusCode: 200,
    });
    expect((await service().from("videos").info("rows/a.mp4")).data).toMatchObject({
      size: bytes.length,
      contentType: "video/mp4",
      metadata: { attempt: 2 },
    });
  });

  it("replaces an object only on request, and of ten uploads at once exactly one succeeds", async () => {
    const bucket = service().from("videos");
    let go = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const racer = async function* (index: number) {
      yield Buffer.from("racer ");
      await gate;
      yield Buffer.from(String(index));
    };
    const race = Promise.all(
      Array.from({ length: 10 }, (_, index) => bucket.upload("race.mp4", Readable.from(racer(index)))),
    );
    await expect.poll(() => readdir(join(stack.storageDir, "incoming"))).toHaveLength(10);
    go();
    const attempts = await race;
    const winner = attempts.findIndex(({ error }) => error === null);
    const losers = attempts.filter((_, index) => index !== winner);
    expect(losers.map(({ error }) => error)).toEqual(
      Array.from({ length: 9 }, () => expect.objectContaining({ status: 409, statusCode: "409" })),
    );
    expect((await bodyOf(await fetch(publicUrl("race.mp4")))).toString()).toBe(`racer ${winner}`);

    expect((await bucket.upload("race.mp4", Buffer.from("on purpose"), { upsert: true })).error).toBeNull();
    expect(await (await fetch(publicUrl("race.mp4"))).text()).toBe("on purpose");
    expect((await bucket.update("race.mp4", Buffer.from("updated"))).error).toBeNull();
    expect(await (await fetch(publicUrl("race.mp4"))).text()).toBe("updated");
  });

  it("replaces an object in one step: a reader gets the old bytes or the new ones, never a mix", async () => {
    const bucket = service().from("videos");
    const contents = Array.from({ length: 20 }, (_, index) => `${index}`.repeat(50_000));
    await bucket.upload("swap.txt", Buffer.from(contents[0]!));
    let writing = true;
    const reads: string[] = [];
    const reader = (async () => {
      while (writing) {
        reads.push(await (await fetch(publicUrl("swap.txt"))).text());
      }
    })();
    for (const content of contents) {
      await bucket.update("swap.txt", Buffer.from(content));
    }
    writing = false;
    await reader;
    expect(reads.filter((read) => !contents.includes(read))).toEqual([]);
  });

  it("leaves no object when its connection breaks", async () => {
    const url = new URL(`${stack.gateway.url}/storage/v1/object/videos/broken-off.mp4`);
    const headers = { authorization: `Bearer ${stack.keys.serviceRoleKey}`, "content-length": "1000000" };
    const sent = httpRequest(url, { method: "POST", headers }).on("error", () => {});
    const incoming = join(stack.storageDir, "incoming");
    sent.write(bytes);
    await expect.poll(() => readdir(incoming)).toHaveLength(1);
    sent.destroy();
    await expect.poll(() => readdir(incoming)).toHaveLength(0);
    expect((await service().from("videos").exists("broken-off.mp4")).data).toBe(false);
  });

  it("is refused in storage-api's words for an unknown bucket, a bad key, and a type or size that the bucket forbids", async () => {
    const storage = service();
    expect((await storage.from("nowhere").upload("a.mp4", bytes)).error).toMatchObject({
      status: 404,
      message: "Bucket not found",
    });
    expect((await storage.from("videos").upload("ünsound.mp4", bytes)).error).toMatchObject({
      status: 400,
      message: expect.stringContaining("Invalid key"),
    });

    await storage.createBucket("narrow", { public: false, fileSizeLimit: "1KB", allowedMimeTypes: ["image/*"] });
    const narrow = storage.from("narrow");
    const big = { status: 413, message: "The object exceeded the maximum allowed size" };
    expect((await narrow.upload("a.jpg", bytes, { contentType: "image/jpeg" })).error).toMatchObject(big);
    expect((await narrow.upload("b.jpg", new Blob([bytes], { type: "image/jpeg" }))).error).toMatchObject(big);
    const stream = Readable.from([bytes]);
    expect((await narrow.upload("c.jpg", stream, { contentType: "image/jpeg" })).error).toMatchObject(big);
    expect((await narrow.upload("d.mp4", Buffer.alloc(10), { contentType: "video/mp4" })).error).toMatchObject({
      status: 415,
    });
    expect((await narrow.list()).data).toEqual([]);
    const full = new Blob([Buffer.alloc(1024)], { type: "image/jpeg" });
    expect((await narrow.upload("full.jpg", full)).error).toBeNull();
  });

  it("is limited by the gateway's own size limit", async () => {
    const { url } = await stack.another({ fileSizeLimitMb: 0.1 });
    const answer = await fetch(`${url}/storage/v1/object/videos/too-big.mp4`, {
      method: "POST",
      headers: { authorization: `Bearer ${stack.keys.serviceRoleKey}` },
      body: bytes,
    });
    expect(answer.status).toBe(413);
    expect(await answer.json()).toMatchObject({ statusCode: "413", error: "Payload too large" });
  });
});

describe("a signed upload", () => {
  it("needs only its token, and works once and only for its own object", async () => {
    const { data } = await service().from("videos").createSignedUploadUrl("signed/a.mp4");
    const plain = (path: string) =>
      fetch(data!.signedUrl.replace("signed/a.mp4", path), {
        method: "PUT",
        body: bytes,
        headers: { "content-type": "video/mp4" },
      });

    const elsewhere = await plain("signed/b.mp4");
    expect(elsewhere.status).toBe(400);
    expect(await elsewhere.json()).toMatchObject({ error: "InvalidSignature" });
    expect((await plain("signed/a.mp4")).status).toBe(200);
    expect((await bodyOf(await fetch(publicUrl("signed/a.mp4")))).equals(bytes)).toBe(true);

    const twice = await anon().from("videos").uploadToSignedUrl("signed/a.mp4", data!.token, bytes, { upsert: true });
    expect(twice.error).toMatchObject({ status: 409 });
  });

  it("accepts a Buffer, a Blob and a stream through the anon client", async () => {
    for (const [name, body] of [
      ["buffer", bytes],
      ["blob", new Blob([bytes])],
      ["stream", Readable.from([bytes])],
    ] as const) {
      const { data } = await service().from("videos").createSignedUploadUrl(`signed/${name} 1.mp4`);
      const done = await anon().from("videos").uploadToSignedUrl(data!.path, data!.token, body);
      expect(done).toMatchObject({ error: null, data: { fullPath: `videos/signed/${name} 1.mp4` } });
      expect((await bodyOf(await fetch(publicUrl(data!.path)))).equals(bytes)).toBe(true);
    }
  });

  it("replaces an object only when that was requested at signing", async () => {
    const bucket = service().from("videos");
    await bucket.upload("signed/again.mp4", Buffer.from("first"));
    expect((await bucket.createSignedUploadUrl("signed/again.mp4")).error).toMatchObject({ status: 409 });

    const { data } = await bucket.createSignedUploadUrl("signed/again.mp4", { upsert: true });
    await anon().from("videos").uploadToSignedUrl("signed/again.mp4", data!.token, Buffer.from("second"));
    expect(await (await fetch(publicUrl("signed/again.mp4"))).text()).toBe("second");
  });

  it("cannot be signed with the anon key, and no key can replace its token", async () => {
    expect((await anon().from("videos").createSignedUploadUrl("signed/no.mp4")).error).toMatchObject({ status: 403 });
    const { error } = await anon().from("videos").uploadToSignedUrl("signed/no.mp4", stack.keys.serviceRoleKey, bytes);
    expect(error).toMatchObject({ status: 400 });
  });
});

it("After all these tests every file on disk has a row, and every row has a file", async () => {
  expect(await stack.unmatchedVersions()).toEqual([]);
});
