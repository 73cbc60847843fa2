import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dashboardQueries, MONITORING } from "../../kit/monitoring/files.ts";
import { without } from "../../kit/deployment/tools.ts";
import { hasPromtool, promtool } from "../../kit/monitoring/promtool.ts";

const withoutPromtool = without(hasPromtool, "promtool");

describe("the files for Prometheus and Grafana", () => {
  it.skipIf(!hasPromtool)(`are a valid configuration with valid rules${withoutPromtool}`, () => {
    const [code, said] = promtool(["check", "config", "prometheus.yaml"], { cwd: MONITORING });
    expect([code, said]).toEqual([0, expect.stringContaining("SUCCESS: 15 rules found")]);
  });

  it.skipIf(!hasPromtool)(`raise each alert when its condition holds, and not before${withoutPromtool}`, () => {
    const [code, said] = promtool(["test", "rules", "alerts-test.yaml"], { cwd: MONITORING });
    expect([code, said]).toEqual([0, expect.stringContaining("SUCCESS")]);
    const names = (file: string, pattern: RegExp) =>
      new Set([...readFileSync(MONITORING + file, "utf8").matchAll(pattern)].map(([, name]) => name));
    expect(names("alerts-test.yaml", /alertname="(\w+)"/g)).toEqual(names("alerts.yaml", /alert: (\w+)/g));
  });

  it.skipIf(!hasPromtool)(`ask nothing in the dashboard that Prometheus cannot parse${withoutPromtool}`, () => {
    const queries = dashboardQueries();
    expect(queries.length).toBeGreaterThan(30);
    // JSON is YAML too.
    const rules = queries.map(({ expr }, index) => ({ record: `query_${index}`, expr }));
    const directory = mkdtempSync(join(tmpdir(), "gpu-pool-rules-"));
    writeFileSync(join(directory, "rules.yaml"), JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
    const [code, said] = promtool(["check", "rules", "rules.yaml"], { cwd: directory });
    rmSync(directory, { recursive: true });
    expect([code, said]).toEqual([0, expect.stringContaining(`SUCCESS: ${queries.length} rules found`)]);
  });

  it("name one data source and one pool by variables", () => {
    const text = readFileSync(`${MONITORING}grafana-dashboard.json`, "utf8");
    expect(new Set([...text.matchAll(/"uid": "([^"]*)"/g)].map(([, uid]) => uid))).toEqual(
      new Set(["${datasource}", "gpu-pool"]),
    );
    const ofPools = dashboardQueries().filter(({ expr }) =>
      /gpu_pool_(?!account|alerts|pro|leader|ready|part|spend)/.test(expr),
    );
    expect(ofPools.filter(({ expr }) => !expr.includes('pool=~".*"'))).toEqual([]);
  });
});
