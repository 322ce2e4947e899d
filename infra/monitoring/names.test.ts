/** Tests that the documentation covers all metrics and alerts. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { alertRules } from "./alerts/index.ts";
import { rows } from "./dashboard-panels.ts";
import { requestsPerSecond, waitingJobs } from "./queries.ts";

const page = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
const docs = page("monitoring.md");
const operating = page("operating.md");
const options = {
  namespace: "berth",
  gateway: true,
  autoscaled: true,
  adapter: { notBefore: new Date(0), notAfter: new Date(100 * 3_600_000) },
  backups: true,
  alertAges: { backup: "26h", restoreCheck: "50h" },
  runbooks: "https://example.com/operating.md",
};
const rules = alertRules(options).groups.flatMap((group) => group.rules as { expr: string; annotations?: object }[]);
const panels = Object.values(rows).flat();

/** The names of the metrics in a query. A histogram counts as one metric. */
const metricsIn = (expr: string) =>
  [...expr.matchAll(/\b(?:berth|bullmq|http|pg|redis|process|container|node|session)_[a-z_]+(?=[{[) ]|$)/g)].map(
    ([name]) => name.replace(/_(bucket|count)$/, (suffix) => (name.includes("duration") ? "" : suffix)),
  );

test("every metric of alerts and dashboard is explained in docs/monitoring.md", () => {
  const used = [...rules.map(({ expr }) => expr), ...panels.flatMap(({ queries }) => Object.values(queries))].flatMap(
    metricsIn,
  );
  expect(used.length).toBeGreaterThan(50);
  expect([...new Set(used)].filter((name) => !docs.includes(`\`${name}`))).toEqual([]);
});

test("docs/monitoring.md contains KEDA's queries", () => {
  for (const query of [waitingJobs, requestsPerSecond]) expect(docs).toContain(`\n${query}\n`);
});

test("every alert has a description and a link to its section", () => {
  const alerts = rules.filter(({ annotations }) => annotations !== undefined);
  for (const { annotations } of alerts) {
    const { summary, description, runbook_url } = annotations as Record<string, string>;
    expect(summary).toMatch(/\.$/);
    expect(description).toMatch(/\.$/);
    const anchor = /^https:\/\/example.com\/operating.md#(\w+)$/.exec(runbook_url ?? "")?.[1];
    expect(operating.toLowerCase()).toContain(`### ${anchor}\n`);
  }
});

test("docs/operating.md has a section with text for each alert, and no section for other names", () => {
  const sections = new Map(
    operating
      .split("\n### ")
      .slice(1)
      .map((section) => [section.split("\n")[0], section.split("\n").slice(1).join(" ")]),
  );
  const names = new Set(rules.flatMap((rule) => ("alert" in rule ? [String(rule.alert)] : [])));
  expect([...sections.keys()].sort()).toEqual([...names].sort());
  for (const [name, text] of sections) expect(text.length, name).toBeGreaterThan(80);
});
