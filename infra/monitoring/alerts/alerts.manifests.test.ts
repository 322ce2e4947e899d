/** Tests with Prometheus' own tools that every alert fires when it should, and only then. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { promtool as program } from "../../../local/cluster/build.ts";
import { type Case, cases } from "./alerts.cases.ts";
import { alertGroups, alertName, alertRules } from "./index.ts";

const options = {
  namespace: "berth",
  gateway: true,
  autoscaled: true,
  /** The certificate is valid for a hundred hours from the first sample. */
  adapter: { notBefore: new Date(0), notAfter: new Date(100 * 3_600_000) },
  backups: true,
  alertAges: { backup: "26h", restoreCheck: "50h" },
  runbooks: "docs/operating.md",
};
const alerts = Object.values(alertGroups(options)).flat();
let dir: string;

beforeAll(async () => {
  await program.ensure();
  dir = await mkdtemp(join(tmpdir(), "berth-alerts-"));
  await writeFile(join(dir, "rules.yml"), stringify(alertRules(options)));
});

afterAll(() => rm(dir, { recursive: true, force: true }));

const promtool = (...args: string[]) => execa(program.file, args, { reject: false, all: true });

test("Prometheus accepts the alert rules", async () => {
  const { all, exitCode } = await promtool("check", "rules", join(dir, "rules.yml"));
  expect(exitCode, all).toBe(0);
});

test("each alert has a test case in which it fires and one in which it does not", () => {
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
  // The order of the groups is fixed, because an alert needs the recording rules to be evaluated first.
  const order = { group_eval_order: groups.map(({ name }) => name) };
  await writeFile(file, stringify({ ...testFile(one), ...order }));
  await writeFile(join(dir, "one.yml"), stringify({ groups }));
  const { all, exitCode } = await promtool("test", "rules", file);
  expect(exitCode, all).toBe(0);
});

/** The alert's group, and the recording rules that the alert uses. */
const groupsOf = (name: string) =>
  alertRules(options)
    .groups.map((group) => ({
      ...group,
      rules: group.rules.filter((rule) =>
        "record" in rule ? name === "ApiErrorBudgetBurn" : rule.alert === alertName({ name }),
      ),
    }))
    .filter(({ rules }) => rules.length > 0);

/** The test compares only labels, because the texts of alerts may change. */
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
