import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createFfmpeg, findFfmpeg } from "../../../../src/gpu-worker/video/ffmpeg.ts";
import { createInputs, type InputsOptions } from "../../../../src/gpu-worker/inputs/inputs.ts";
import { ParamsError } from "../../../../src/gpu-worker/tasks/params-error.ts";

const ffmpegPath = await findFfmpeg(null);
let samples: string;
let picture: Buffer;
let film: Buffer;

beforeAll(async () => {
  samples = await mkdtemp(join(tmpdir(), "inputs-samples-"));
  const make = (args: string[], name: string) => execa(ffmpegPath, ["-y", "-v", "error", ...args, join(samples, name)]);
  const colour = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=8"];
  await make([...colour, "-frames:v", "1"], "picture.png");
  await make([...colour, "-f", "lavfi", "-i", "sine", "-t", "0.625", "-pix_fmt", "yuv420p"], "film.mp4");
  await make(["-i", join(samples, "film.mp4"), "-c", "copy", "-metadata:s:v", "rotate=90"], "turned.mp4");
  picture = await readFile(join(samples, "picture.png"));
  film = await readFile(join(samples, "film.mp4"));
});
afterAll(() => rm(samples, { recursive: true, force: true }));

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let origin: string;
let requests: string[];
let answer: Answer;
let workDir: string;
beforeEach(async () => {
  requests = [];
  server = createServer((request, response) => {
    requests.push(`${request.headers.host} ${request.url}`);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  workDir = await mkdtemp(join(tmpdir(), "inputs-"));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(workDir, { recursive: true, force: true });
});

function open(options: Partial<InputsOptions> = {}, signal = new AbortController().signal) {
  const all = { maxBytes: 1_000_000, timeoutMs: 20_000, folders: [], ownOrigin: origin, firstDelayMs: 5, ...options };
  const ffmpeg = createFfmpeg(ffmpegPath, signal);
  return createInputs(all)({ workDir, signal, ffmpeg, logger: pino({ level: "silent" }) });
}
function send(body: Buffer | string, status = 200): Answer {
  return (_request, response) => void response.writeHead(status).end(body);
}
function port(): string {
  return new URL(origin).port;
}

describe("a file that a URL names", () => {
  it("is measured and named after what it is, whatever its name says", async () => {
    answer = (request, response) => send(request.url?.startsWith("/a.mp4") ? picture : film)(request, response);
    const inputs = open();
    expect(await inputs.fetch("image", `${origin}/a.mp4?token=s`, "picture")).toEqual({
      path: join(workDir, "inputs", "1.png"),
      kind: "picture",
      width: 64,
      height: 48,
      frames: 1,
      fps: 25,
      hasAudio: false,
    });
    const video = await inputs.fetch("video_url", `${origin}/b.png`, "video");
    expect(video).toMatchObject({ width: 64, height: 48, frames: 5, fps: 8, hasAudio: true });
    expect(await readFile(video.path)).toEqual(film);
  });

  it("is fetched once for a task, however many fields name it", async () => {
    answer = send(picture);
    const inputs = open();
    await Promise.all(["image", "image_end"].map((field) => inputs.fetch(field, `${origin}/a.png`, "picture")));
    expect(requests).toHaveLength(1);
  });

  it("invariant 17: connects to the address that was checked, and asks for the name once", async () => {
    answer = send(picture);
    const asked: string[] = [];
    const resolve = async (host: string) => {
      asked.push(host);
      // A name that would lead elsewhere when it is asked again.
      return [{ address: asked.length === 1 ? "127.0.0.1" : "127.0.0.2", family: 4 }];
    };
    const isAllowed = (address: string) => address === "127.0.0.1";
    const inputs = open({ ownOrigin: null, network: { resolve, isAllowed } });
    await inputs.fetch("image", `http://films.example:${port()}/a.png`, "picture");
    expect({ asked, requests }).toEqual({ asked: ["films.example"], requests: [`films.example:${port()} /a.png`] });
  });

  it.each([
    [
      "a private address",
      () => `http://127.0.0.1:${port()}/`,
      { ownOrigin: "https://x.supabase.co" },
      /not an address of the public/,
    ],
    ["another port of the own host", () => "http://127.0.0.1:9/", {}, /not an address of the public/],
    ["a mapped address", () => `http://[::ffff:127.0.0.1]:${port()}/`, {}, /not an address of the public/],
    ["another protocol", () => "ftp://films.example/a.mp4", {}, /ftp: is not http: or https:/],
    ["data instead of an address", () => "data:image/png;base64,AAAA", {}, /data: is not http: or https:/],
    ["a password", () => `http://me:secret@127.0.0.1:${port()}/`, {}, /user name or a password/],
  ])("is refused for %s, before anything is asked", async (_what, url, limits, why) => {
    answer = send(picture);
    const failure = open(limits).fetch("image", url(), "picture");
    await expect(failure).rejects.toThrow(ParamsError);
    await expect(failure).rejects.toThrow(why);
    await expect(failure).rejects.not.toThrow(/secret/);
    expect(requests).toEqual([]);
  });

  it("is refused where a redirect leads to a private address", async () => {
    answer = (_request, response) => void response.writeHead(302, { location: "http://127.0.0.1:1/admin" }).end("body");
    await expect(open().fetch("image", `${origin}/a.png?token=secret`, "picture")).rejects.toThrow(
      `params.image: expected a picture of at most 1 MB at a public http or https address, got "${origin}/a.png?…": ` +
        "127.0.0.1 is not an address of the public internet",
    );
    expect(requests).toHaveLength(1);
  });

  it("is found behind a redirect that is relative, and not behind a circle", async () => {
    answer = (request, response) =>
      void (request.url === "/a" ? response.writeHead(307, { location: "b" }).end() : response.end(picture));
    expect(await open().fetch("image", `${origin}/a`, "picture")).toMatchObject({ width: 64 });
    answer = (_request, response) => void response.writeHead(302, { location: "/" }).end();
    await expect(open().fetch("image", origin, "picture")).rejects.toThrow(/redirects more than 5 times/);
  });

  it.each([
    ["404", send("no", 404), /the server answered 404/],
    ["a picture where a video is expected", send("not a film"), /it is not a video that can be read/],
    [
      "a playlist that names another file",
      send("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"),
      /it is not a video that can be read/,
    ],
  ] as const)("fails the task for good for %s", async (_what, reply, why) => {
    answer = reply;
    const failure = open().fetch("video_url", `${origin}/a`, "video");
    await expect(failure).rejects.toThrow(ParamsError);
    await expect(failure).rejects.toThrow(why);
  });

  it("fails the task for good if its beginning is whole and its picture is not", async () => {
    answer = send(Buffer.concat([picture.subarray(0, 60), Buffer.alloc(400)]));
    await expect(open().fetch("image", `${origin}/a.png`, "picture")).rejects.toThrow(ParamsError);
  });

  it.each([
    ["says", (response: ServerResponse) => void response.writeHead(200, { "content-length": "5000000" }).write("x")],
    ["does not say", (response: ServerResponse) => void response.write(Buffer.alloc(2_000_000))],
  ])("is refused as too large when the server %s its size, and nothing stays on the disk", async (_what, begin) => {
    answer = (_request, response) => begin(response);
    await expect(open().fetch("image", `${origin}/a`, "picture")).rejects.toThrow(/it is larger than 1 MB/);
    await expect(readFile(join(workDir, "inputs", "1"))).rejects.toThrow("ENOENT");
  });

  it.each([
    ["503", send("busy", 503)],
    ["a closed connection", (request: IncomingMessage) => request.socket.destroy()],
    [
      "half a file",
      (_request: IncomingMessage, response: ServerResponse) => {
        response.writeHead(200, { "content-length": String(picture.length) });
        response.write(picture.subarray(0, 90), () => response.socket?.destroy());
      },
    ],
  ] as const)("is asked for again after %s", async (_what, reply) => {
    answer = (request, response) => (requests.length < 3 ? reply(request, response) : send(picture)(request, response));
    expect(await open().fetch("image", `${origin}/a.png`, "picture")).toMatchObject({ width: 64 });
  });

  it("fails the attempt alone, which counts, when it cannot be had now", async () => {
    answer = send("busy", 503);
    const failure = open().fetch("image", `${origin}/a.png`, "picture");
    await expect(failure).rejects.not.toThrow(ParamsError);
    await expect(failure).rejects.toThrow(
      /^params\.image: "http:.*a\.png" could not be had in 3 tries: the server answered 503$/,
    );
    expect(requests).toHaveLength(3);
  });

  it("is given up at its time limit, and at once when the task is broken off", async () => {
    answer = (_request, response) => void response.write("x");
    await expect(open({ timeoutMs: 50 }).fetch("image", origin, "picture")).rejects.toThrow(
      /did not come within 0.05 s/,
    );
    const stop = new AbortController();
    answer = () => stop.abort(new Error("the lease is lost"));
    await expect(open({}, stop.signal).fetch("image", `${origin}/b`, "picture")).rejects.toThrow("the lease is lost");
  });

  it("is not looked into where any file is allowed", async () => {
    answer = send("{}");
    const { path } = await open().fetch("workflow", `${origin}/w.json`, "file");
    expect(await readFile(path, "utf8")).toBe("{}");
  });
});

describe("a file that a path names", () => {
  it("is refused where the worker takes URLs alone", async () => {
    await expect(open().fetch("image", join(samples, "picture.png"), "picture")).rejects.toThrow(
      /this worker takes no files of its own disk/,
    );
  });

  it("is found in the folders of the setting, by its whole path, as a file: URL or relative to one of them", async () => {
    const inputs = open({ folders: [workDir, samples] });
    for (const value of [join(samples, "picture.png"), `file://${samples}/picture.png`, "picture.png"]) {
      expect(await inputs.fetch("image", value, "picture")).toMatchObject({
        path: join(samples, "picture.png"),
        frames: 1,
      });
    }
  });

  it("counts as high as it is shown if it is to be turned", async () => {
    const inputs = open({ folders: [samples] });
    expect(await inputs.fetch("video_url", "turned.mp4", "video")).toMatchObject({ width: 48, height: 64 });
  });

  it.each([
    ["above the folder", "../secret.png"],
    ["a link that leaves the folder", "link.png"],
    ["a folder whose name begins alike", "../inner-2/picture.png"],
    ["a file of the kernel", "/proc/self/environ"],
    ["a folder", "."],
    ["nothing", "none.png"],
  ])("is refused: %s", async (_what, value) => {
    const inner = join(workDir, "inner");
    await Promise.all([inner, `${inner}-2`].map((folder) => mkdir(folder)));
    await writeFile(join(workDir, "secret.png"), picture);
    await writeFile(`${inner}-2/picture.png`, picture);
    await symlink(join(workDir, "secret.png"), join(inner, "link.png"));
    const failure = open({ folders: [inner] }).fetch("image", value, "picture");
    await expect(failure).rejects.toThrow(ParamsError);
    await expect(failure).rejects.toThrow(/there is no such file in the folders/);
  });

  it("is refused as a file of the kernel even where everything else may be read", async () => {
    await expect(open({ folders: ["/"] }).fetch("file", "/proc/self/environ", "file")).rejects.toThrow(
      /it is not an ordinary file/,
    );
  });

  it("is refused if it is too large", async () => {
    await rename(join(samples, "turned.mp4"), join(workDir, "turned.mp4"));
    await expect(open({ folders: [workDir], maxBytes: 100 }).fetch("v", "turned.mp4", "video")).rejects.toThrow(
      /larger than 0.0001 MB/,
    );
    await rename(join(workDir, "turned.mp4"), join(samples, "turned.mp4"));
  });
});
