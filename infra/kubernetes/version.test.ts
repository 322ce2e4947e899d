import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { isTooOld, oldestKubernetes } from "./version.ts";

test.each([
  ["v1.29.14", true],
  ["v1.29.8-eks-a737599", true],
  ["v0.99.0", true],
  ["v1.30.0", false],
  ["v1.34.1+k3s1", false],
  ["v2.0.0", false],
  ["unknown", false],
])("Kubernetes %s is too old: %j", (version, tooOld) => {
  expect(isTooOld(version)).toBe(tooOld);
});

test.each(["docs/production.md", "docs/your-cluster.md"])("%s names the oldest supported Kubernetes", (page) => {
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), "utf8");
  expect([...text.matchAll(/Kubernetes (\d+\.\d+) or newer/g)].map(([, version]) => version)).toEqual([
    oldestKubernetes,
  ]);
});
