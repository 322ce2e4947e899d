/** Checks the environments in the GitHub workflows and the images in the Deploy workflow, because actionlint checks neither. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { root } from "../../machine/machine.ts";

interface Workflow {
  on: string | string[] | Record<string, unknown>;
  jobs: Record<string, { environment?: string | { name: string } }>;
}

/** The environments that have reviewers, as docs/ci.md describes. */
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

test("the Deploy workflow scans and signs every image by the name that its resource has in the stack", () => {
  const deploy = readFileSync(join(root, ".github/workflows/deploy.yml"), "utf8");
  const named = [...deploy.matchAll(/steps\.images\.outputs\.([\w-]+)/g)].map(([, name]) => name);
  const golden: { type: string; name: string }[] = JSON.parse(
    readFileSync(join(root, "infra/testdata/prod.golden.json"), "utf8"),
  );
  const built = golden.filter(({ type }) => type === "docker:index/image:Image").map(({ name }) => name);
  // The workflow names each image three times: in the scan's condition, in the scan, and in the list of images to sign.
  expect(named.sort()).toEqual(built.flatMap((name) => [name, name, name]).sort());
});
