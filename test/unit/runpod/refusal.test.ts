import { expect, it } from "vitest";
import { redact } from "../../../src/runpod/redact.ts";
import { refusalReason } from "../../../src/runpod/refusal.ts";

it.each([
  [400, "There are no longer any instances available with the requested specifications.", "capacity"],
  [400, "create pod: There are no instances currently available", "capacity"],
  [400, "This machine does not have the resources to deploy your pod", "capacity"],
  [400, "start pod: There are not enough free GPUs on the host machine to start this pod.", "capacity"],
  [400, "could not find any pods with required specifications", "capacity"],
  [400, "Your account balance is too low to rent a pod. Please add funds", "funds"],
  [400, "dataCenterIds names an unknown data center", "invalid"],
  [401, "", "unauthorized"],
  [402, "", "funds"],
  [403, "GPU type not allowed", "forbidden"],
  [403, "hourly spend limit reached", "funds"],
  [403, "insufficient_balance", "funds"],
  [404, "", "invalid"],
  [410, "", "invalid"],
  [422, "", "invalid"],
  [422, "You do not have enough credits: your funds are exhausted", "funds"],
  [429, "", "rate_limited"],
] as const)("status %i with the text %j is a refusal for: %s", (status, detail, reason) => {
  expect(refusalReason(status, detail)).toBe(reason);
});

it.each([100, 202, 204, 206, 301, 307, 408, 409, 425, 500, 502, 503, 504, 520, 524, 600])(
  "status %i does not prove that nothing was created",
  (status) => {
    expect(refusalReason(status, "There are no longer any instances available")).toBeUndefined();
  },
);

it("half of a secret does not stay where a long text is cut", () => {
  const secret = "s3cret-".repeat(5);
  const text = `${"x".repeat(490)}${secret}`;
  expect(redact(text, [secret])).toBe(`${"x".repeat(490)}[redacted]`);
});

it("a secret that contains another is replaced as a whole", () => {
  expect(redact("key abcdef-ghijkl", ["abcdef", "abcdef-ghijkl"])).toBe("key [redacted]");
});
