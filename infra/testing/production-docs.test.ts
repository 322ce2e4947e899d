/**
 * Checks that the requests and limits in docs/production.md are those of the pods of the stack prod
 * (testdata/prod.golden.json).
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { RecordedResource } from "./record.ts";

const read = (name: string) => readFileSync(new URL(name, import.meta.url), "utf8");

/** `| `api` | 3–10 | 250m, 256Mi | 1, 512Mi | … |` → api: [250m, 256Mi, 1, 512Mi] */
const documented = Object.fromEntries(
  read("../../docs/production.md")
    .split("\n")
    .filter((line) => /^\| `.*\d[MG]i \|/.test(line))
    .flatMap((line) => {
      const [, names = "", , requests, limits] = line.split("|").map((cell) => cell.trim());
      return names
        .replaceAll("`", "")
        .split(", ")
        .map((name) => [name, `${requests}, ${limits}`]);
    }),
);

interface PodSpec {
  containers: { resources: Record<"requests" | "limits", { cpu: string; memory: string }> }[];
}

/** The spec of the pods in a Deployment, Job or CronJob. */
function podOf(spec: { template?: { spec: PodSpec }; jobTemplate?: { spec: { template: { spec: PodSpec } } } }) {
  return (spec.template ?? spec.jobTemplate?.spec.template)?.spec;
}

test("docs/production.md lists the requests and limits of the pods of prod", () => {
  const resources = JSON.parse(read("../testdata/prod.golden.json")) as RecordedResource[];
  const made = resources.flatMap(({ inputs }) => {
    const { metadata, spec } = inputs as { metadata?: { name: string }; spec?: Parameters<typeof podOf>[0] };
    const container = spec && podOf(spec)?.containers[0];
    if (!container) return [];
    const { requests, limits } = container.resources;
    const name = metadata?.name.replace(/-[0-9a-f]{10}$/, "");
    return [[name, [requests.cpu, requests.memory, limits.cpu, limits.memory].join(", ")]];
  });
  expect(documented).toEqual(Object.fromEntries(made));
});
