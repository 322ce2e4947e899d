/** What actionlint does not know of the GitHub workflows: which of their environments have reviewers. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { root } from "../../machine/machine.ts";

interface Workflow {
  on: string | string[] | Record<string, unknown>;
  jobs: Record<string, { environment?: string | { name: string } }>;
}

/** As docs/ci.md sets them up. */
const withReviewers = ["preview", "production"];
const workflows = globSync(".github/workflows/*.yml", { cwd: root }).map((file) => {
  const { on, jobs } = parse(readFileSync(join(root, file), "utf8")) as Workflow;
  const events = typeof on === "string" ? [on] : Array.isArray(on) ? on : Object.keys(on);
  const environments = Object.values(jobs).flatMap(({ environment = [] }) =>
    typeof environment === "string" ? [environment] : "name" in environment ? [environment.name] : [],
  );
  return { file, events, environments };
});
const scheduled = workflows.filter(({ events }) => events.includes("schedule"));

test("there are scheduled workflows, and workflows with reviewers", () => {
  expect(scheduled.length).toBeGreaterThanOrEqual(2);
  expect(workflows.flatMap(({ environments }) => environments).sort()).toEqual(["drift", ...withReviewers]);
});

test.each(scheduled)("$file runs by itself and waits for no reviewer", ({ environments }) => {
  expect(environments.filter((name) => withReviewers.includes(name))).toEqual([]);
});

test("docs/ci.md sets up every environment, and Pulumi Cloud trusts each", () => {
  const docs = readFileSync(join(root, "docs/ci.md"), "utf8");
  for (const name of new Set(workflows.flatMap(({ environments }) => environments))) {
    expect(docs).toContain(`:environment:${name}\``);
  }
});
