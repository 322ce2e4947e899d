/** Every alert fires when it should and is silent when it should, in Prometheus' own words. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { ensurePrometheus, prometheusProgram } from "../../../local/cluster/build.ts";
import { type Case, cases } from "./alerts.cases.ts";
import { alertGroups, alertName, alertRules } from "./index.ts";

const options = {
  gateway: true,
  autoscaled: true,
  /** For the hundred hours from the first sample on. */
  adapter: { notBefore: new Date(0), notAfter: new Date(100 * 3_600_000) },
  backups: true,
  alertAges: { backup: "26h", restoreCheck: "50h" },
  runbooks: "docs/operating.md",
};
const alerts = Object.values(alertGroups(options)).flat();
let dir: string;

beforeAll(async () => {
  await ensurePrometheus("promtool");
  dir = await mkdtemp(join(tmpdir(), "berth-alerts-"));
  await writeFile(join(dir, "rules.yml"), stringify(alertRules(options)));
}, 900_000);

afterAll(() => rm(dir, { recursive: true, force: true }));

const promtool = (...args: string[]) => execa(prometheusProgram("promtool"), args, { reject: false, all: true });

test("the rules are what Prometheus can read", async () => {
  const { all, exitCode } = await promtool("check", "rules", join(dir, "rules.yml"));
  expect(exitCode, all).toBe(0);
});

test("each alert has a case in which it fires and one in which it doesn't", () => {
  for (const { name } of alerts) {
    const own = cases.filter(({ alert }) => alert === name);
    expect(
      own.some(({ fires }) => fires.length > 0),
      name,
    ).toBe(true);
    expect(
      own.some(({ fires }) => fires.length === 0),
      name,
    ).toBe(true);
  }
});

test.each(cases.map((one) => [one.alert, one.what, one] as const))("%s: %s", async (_, __, one) => {
  const file = join(dir, "test.yml");
  const groups = groupsOf(one.alert);
  // Else promtool takes them as chance has it, and an alert that looks every 15 minutes misses what was recorded before it.
  const order = { group_eval_order: groups.map(({ name }) => name) };
  await writeFile(file, stringify({ ...testFile(one), ...order }));
  await writeFile(join(dir, "one.yml"), stringify({ groups }));
  const { all, exitCode } = await promtool("test", "rules", file);
  expect(exitCode, all).toBe(0);
});

/** The alert's own group, and what it is worked out from. */
const groupsOf = (name: string) =>
  alertRules(options)
    .groups.map((group) => ({
      ...group,
      rules: group.rules.filter((rule) =>
        "record" in rule ? name === "ApiErrorBudgetBurn" : rule.alert === alertName({ name }),
      ),
    }))
    .filter(({ rules }) => rules.length > 0);

/** The labels alone are compared: what an alert says is no promise. */
const testFile = ({ alert, series, every = "1m", at, fires }: Case) => ({
  rule_files: ["one.yml"],
  evaluation_interval: every,
  tests: [
    {
      interval: every,
      input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
      promql_expr_test: [
        {
          expr: `ALERTS{alertname="${alertName({ name: alert })}",alertstate="firing"}`,
          eval_time: at,
          exp_samples: fires.map((labels) => ({ labels: labelsOf(alert, labels), value: 1 })),
        },
      ],
    },
  ],
});

function labelsOf(name: string, labels: Record<string, string>): string {
  const severities = alerts
    .filter((alert) => alert.name === name && (alert.labels?.window ?? "") === (labels.window ?? ""))
    .map(({ severity }) => severity);
  const all = { alertname: `Berth${name}`, alertstate: "firing", severity: severities[0] ?? "", ...labels };
  return `ALERTS{${Object.entries(all)
    .map(([key, value]) => `${key}="${value}"`)
    .join(",")}}`;
}
