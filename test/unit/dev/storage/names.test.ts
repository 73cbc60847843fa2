import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkBucketName,
  checkObjectName,
  mimeTypeAllowed,
  parseRange,
  parseSizeLimitBytes,
} from "../../../../src/dev/storage/names.ts";

describe("the name of an object", () => {
  it.each(["a.mp4", "7c/task_7c_a1.mp4", "deep/er/and deeper/x(1)+y.jpg", "..hidden", "a".repeat(1024)])(
    "is accepted when it is %s",
    (name) => expect(checkObjectName(name)).toBe(name),
  );

  it.each(["", "/", "a/", "/a", "a//b", "..", "a/../b", "./a", "a\\b", "a\0b", "ä.mp4", "a%2fb", "a".repeat(1025)])(
    "is refused as InvalidKey when it is %j",
    (name) => expect(() => checkObjectName(name)).toThrow(expect.objectContaining({ code: "InvalidKey", status: 400 })),
  );

  it("is refused with an empty, `.` or `..` segment at any position", () => {
    const part = fc.constantFrom("..", ".", "", "a", "b.mp4", " ", "%2e%2e", "\\..");
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const name = parts.join("/");
        const unsound = name === "" || name.split("/").some((segment) => ["", ".", ".."].includes(segment));
        fc.pre(unsound);
        expect(() => checkObjectName(name)).toThrow(/Invalid key/);
      }),
    );
  });
});

it.each(["", "..", "a/b", " a", "a".repeat(101)])("A bucket's name is refused when it is %j", (name) => {
  expect(() => checkBucketName(name)).toThrow(expect.objectContaining({ code: "InvalidBucketName" }));
});

describe("a Range header", () => {
  it.each([
    ["bytes=0-0", { start: 0, end: 0 }],
    ["bytes=2-5", { start: 2, end: 5 }],
    ["bytes=7-", { start: 7, end: 9 }],
    ["bytes=-3", { start: 7, end: 9 }],
    ["bytes=5-100", { start: 5, end: 9 }],
    ["bytes=-100", { start: 0, end: 9 }],
  ])("%s of ten bytes is read as %j", (header, range) => expect(parseRange(header, 10)).toEqual(range));

  it.each([undefined, "bytes=-", "bytes=5-2", "bytes=0-1,4-5", "items=0-1", "nonsense"])(
    "%s means the whole object",
    (header) => expect(parseRange(header, 10)).toBeNull(),
  );

  it.each([
    ["bytes=10-", 10],
    ["bytes=-0", 10],
    ["bytes=0-", 0],
  ])("%s of %i bytes cannot be satisfied", (header, sizeBytes) =>
    expect(() => parseRange(header, sizeBytes)).toThrow(expect.objectContaining({ status: 416 })),
  );
});

describe("a bucket's settings", () => {
  it.each([
    [1000, 1000],
    ["1000", 1000],
    ["20MB", 20 * 1024 * 1024],
    ["1.5 kb", 1536],
    [null, null],
  ])("read the size limit %j as %j bytes", (given, bytes) => expect(parseSizeLimitBytes(given)).toBe(bytes));

  it.each(["", "big", "MB", "-1"])("refuse the size limit %j and name it", (given) =>
    expect(() => parseSizeLimitBytes(given)).toThrow(/file_size_limit/),
  );

  it("allow a type that is listed, a family by its star, and everything when nothing is listed", () => {
    expect(mimeTypeAllowed(["video/mp4"], "video/mp4; codecs=avc1")).toBe(true);
    expect(mimeTypeAllowed(["image/*"], "image/jpeg")).toBe(true);
    expect(mimeTypeAllowed(["image/*", "video/mp4"], "text/html")).toBe(false);
    expect(mimeTypeAllowed(null, "text/html")).toBe(true);
  });
});
