/** What is looked at is what is documented. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { alertRules } from "./alerts/index.ts";
import { rows } from "./dashboard-panels.ts";

const docs = readFileSync(new URL("../../docs/monitoring.md", import.meta.url), "utf8");
const options = {
  adapter: true,
  backups: true,
  alertAges: { backup: "26h", restoreCheck: "50h" },
  runbooks: "https://example.com/monitoring.md",
};
const rules = alertRules(options).groups.flatMap((group) => group.rules as { expr: string; annotations?: object }[]);
const panels = Object.values(rows).flat();

/** The metrics in a query, a histogram by its own name. */
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

test("every alert says what it means and leads to its heading", () => {
  const alerts = rules.filter(({ annotations }) => annotations !== undefined);
  for (const { annotations } of alerts) {
    const { summary, description, runbook_url } = annotations as Record<string, string>;
    expect(summary).toMatch(/\.$/);
    expect(description).toMatch(/\.$/);
    const anchor = /^https:\/\/example.com\/monitoring.md#(\w+)$/.exec(runbook_url ?? "")?.[1];
    expect(docs.toLowerCase()).toContain(`### ${anchor}\n`);
  }
});
