import { migrationNames } from "../../supabase/migration-files.ts";
import {
  clockAheadMs,
  type KeyRole,
  readAppliedMigrations,
  readBucket,
  roleOf,
} from "../../supabase/project/project-check.ts";
import { failed, type Finding, ok, reasonOf, skipped, warning } from "./finding.ts";
import type { Subject } from "./subject.ts";

const MIB = 1024 * 1024;
/** A video of some minutes. Supabase's free plan allows no more. */
const LARGEST_VIDEO_MIB = 50;
/** Ages of heartbeats are computed by the database's clock alone; logs and costs mix clocks. */
const CLOCKS_APART_MS = 30_000;

/** The Supabase project: address, keys, schema, storage. */
export async function checkDatabase(subject: Subject): Promise<Finding[]> {
  const { url, serviceRoleKey, anonKey } = subject.config.supabase;
  const address = checkAddress(url);
  if (address !== null) {
    return [address];
  }
  const [service, anon] = await Promise.all([roleOf(url, serviceRoleKey), roleOf(url, anonKey)]);
  if (service.role === "unknown") {
    const remedy =
      "Check SUPABASE_URL, that the project is not paused, and that its schema is there (gpu-pool db migrate).";
    return [failed("database", `no usable answer from ${url}: ${service.detail}`, remedy)];
  }
  const keys = [
    ok("database", url),
    checkKey("service key", "SUPABASE_SERVICE_ROLE_KEY", "service", service),
    checkKey("public key", "SUPABASE_ANON_KEY", "public", anon),
  ];
  if (service.role !== "service") {
    return [
      ...keys,
      ...["schema", "bucket"].map((check) => skipped(check, "the service key does not open the project")),
    ];
  }
  return [
    ...keys,
    ...(await checkPublicAddress(subject)),
    await checkSchema(subject),
    await checkBucket(subject),
    await checkClock("database clock", url),
  ];
}

/** Pods and readers of files use it. This machine may be unable to reach it though they can. */
async function checkPublicAddress({ config }: Subject): Promise<Finding[]> {
  const { url, publicUrl, anonKey } = config.supabase;
  if (publicUrl === undefined || publicUrl === url) {
    return [];
  }
  const { role, detail } = await roleOf(publicUrl, anonKey);
  return role === "public"
    ? [ok("public address", publicUrl)]
    : [
        warning(
          "public address",
          `SUPABASE_PUBLIC_URL=${publicUrl} gives this machine no usable answer: ${detail}`,
          "Try it from another machine; pods cannot work without it.",
        ),
      ];
}

/** Every request adds its own path to the URL. */
function checkAddress(url: string): Finding | null {
  const { pathname, origin } = new URL(url);
  return pathname === "/"
    ? null
    : failed("database", `SUPABASE_URL=${url} has the path ${pathname}`, `Set SUPABASE_URL=${origin}`);
}

function checkKey(check: string, variable: string, wanted: KeyRole, found: { role: KeyRole; detail: string }): Finding {
  if (found.role === wanted) {
    return ok(check, wanted === "service" ? "opens the pools" : "opens no row that only the service may read");
  }
  const page = "the project's API keys (Settings → API keys)";
  switch (found.role) {
    case "service":
      return failed(
        check,
        `${variable} holds the service key, which pods would get`,
        `Set it to the public one of ${page}`,
      );
    case "public":
      return failed(check, `${variable} holds the public key`, `Set it to the secret one of ${page}`);
    case "refused":
      return failed(check, `the project refuses ${variable}: ${found.detail}`, `Copy it again from ${page}`);
    case "unknown":
      return failed(check, `not known: ${found.detail}`, "Try again.");
  }
}

async function checkSchema({ database }: Subject): Promise<Finding> {
  try {
    const [applied, known] = await Promise.all([readAppliedMigrations(database), migrationNames()]);
    if (applied === null) {
      return failed("schema", "older than this program, or not there", "gpu-pool db migrate");
    }
    const pending = known.filter((name) => !applied.includes(name));
    const newer = applied.filter((name) => !known.includes(name));
    if (pending.length > 0) {
      return failed("schema", `${pending.length} of ${known.length} migrations are pending`, "gpu-pool db migrate");
    }
    return newer.length === 0
      ? ok("schema", `all ${known.length} migrations are applied`)
      : warning(
          "schema",
          `${newer.length} migrations of a newer version are applied: ${newer.join(", ")}`,
          "Update this program.",
        );
  } catch (error) {
    return failed("schema", reasonOf(error), "gpu-pool db migrate");
  }
}

async function checkBucket({ database, config }: Subject): Promise<Finding> {
  const name = config.supabase.videoBucket;
  const make = "gpu-pool db migrate makes it, or the dashboard (Storage → New bucket → public)";
  try {
    const bucket = await readBucket(database, name);
    if (bucket === null) {
      return failed("bucket", `there is no bucket ${name}`, `${make}; or set SUPABASE_VIDEO_BUCKET`);
    }
    if (!bucket.isPublic) {
      return failed(
        "bucket",
        `bucket ${name} is private, so nobody can open a result's URL`,
        `Make it public: ${make}`,
      );
    }
    const limitMib = bucket.fileSizeLimitBytes === null ? null : bucket.fileSizeLimitBytes / MIB;
    if (limitMib !== null && limitMib < LARGEST_VIDEO_MIB) {
      const remedy = `Raise its file size limit to ${LARGEST_VIDEO_MIB} MiB or more (Storage → bucket → Edit)`;
      return warning("bucket", `bucket ${name} takes files of at most ${limitMib.toFixed(1)} MiB`, remedy);
    }
    const limit = limitMib === null ? "the project's own limit" : `at most ${Math.round(limitMib)} MiB`;
    return ok("bucket", `${name}, public, files of ${limit}`);
  } catch (error) {
    return failed("bucket", reasonOf(error), "Check that the project has Storage, and its status page.");
  }
}

/** Logs and costs are compared across machines. */
export async function checkClock(check: string, url: string): Promise<Finding> {
  try {
    const aheadMs = await clockAheadMs(url);
    if (aheadMs === null) {
      return skipped(check, "the service shows no time");
    }
    const sec = Math.round(Math.abs(aheadMs) / 1000);
    return Math.abs(aheadMs) < CLOCKS_APART_MS
      ? ok(check, `within ${Math.max(1, sec)} s of this machine's`)
      : warning(
          check,
          `${sec} s ${aheadMs > 0 ? "ahead of" : "behind"} this machine's`,
          "Set this machine's clock (timedatectl set-ntp true).",
        );
  } catch (error) {
    return skipped(check, reasonOf(error));
  }
}
