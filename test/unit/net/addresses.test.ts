import { describe, expect, it } from "vitest";
import { allowedAddresses, isPublicAddress } from "../../../src/net/addresses.ts";
import { Refusal, Unavailable } from "../../../src/net/refusal.ts";

describe("which addresses are public", () => {
  it.each([["1.1.1.1"], ["172.32.0.1"], ["100.63.255.255"], ["2606:4700:4700::1111"], ["::ffff:1.1.1.1"]])(
    "%s is",
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it.each([
    ["0.0.0.0"],
    ["10.1.2.3"],
    ["100.64.0.1"],
    ["127.0.0.1"],
    ["127.255.255.254"],
    ["169.254.169.254"],
    ["172.16.0.1"],
    ["192.168.1.1"],
    ["192.0.2.1"],
    ["198.18.0.1"],
    ["224.0.0.1"],
    ["255.255.255.255"],
    ["::"],
    ["::1"],
    ["::ffff:127.0.0.1"],
    ["::ffff:a9fe:a9fe"],
    ["::127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["64:ff9b:1::1"],
    ["2002:7f00:1::"],
    ["fe80::1"],
    ["fec0::1"],
    ["fd00::1"],
    ["ff02::1"],
    ["2001:db8::1"],
    ["not an address"],
  ])("%s is not", (address) => expect(isPublicAddress(address)).toBe(false));

  it.each([
    ["http://2130706433/"],
    ["http://0x7f.1/"],
    ["http://017700000001/"],
    ["http://[::ffff:127.0.0.1]/"],
    ["http://[::1]/"],
    ["http://localhost/"],
  ])("invariant 17: %s is refused in whatever spelling", async (url) => {
    const resolve = async (host: string) => [{ address: host === "localhost" ? "127.0.0.1" : host, family: 4 }];
    await expect(allowedAddresses(new URL(url), isPublicAddress, resolve)).rejects.toThrow(Refusal);
  });

  it("of a host with public and private addresses the public ones are left", async () => {
    const found = ["10.0.0.1", "1.1.1.1"].map((address) => ({ address, family: 4 }));
    expect(await allowedAddresses(new URL("http://host/"), isPublicAddress, async () => found)).toEqual([found[1]]);
  });

  it("a name that is not resolved may be resolved later", async () => {
    const resolve = () => Promise.reject(Object.assign(new Error("no answer"), { code: "EAI_AGAIN" }));
    await expect(allowedAddresses(new URL("http://host/"), isPublicAddress, resolve)).rejects.toThrow(Unavailable);
  });
});
