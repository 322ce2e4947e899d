/** Each stack's manifests, and a session's, before kube-score, Monokle, Pod Security's own library and the policy pack. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { beforeAll, expect, test } from "vitest";
import { ensureManifestChecks } from "../../local/checks/programs.ts";
import { root } from "../../local/lib/paths.ts";
import { kubeScoreFindings } from "./kube-score.ts";
import { type Finding, type Manifest, readManifests } from "./manifests.ts";
import { monokleFindings } from "./monokle.ts";
import { podSecurityFindings } from "./pod-security.ts";
import { checkPolicies } from "./stacks.ts";
import { covers, type Suppression, suppressions } from "./suppressions.ts";

const stacks = ["dev", "prod"];
const manifests = new Map<string, Manifest[]>();
/** What the worker makes for a session of the tenant acme, as reviewed. */
const session: Manifest[] = JSON.parse(readFileSync(join(root, "runtime/src/pods/podSpec.golden.json"), "utf8"));

const command = (...args: string[]) =>
  execa(process.execPath, ["infra/manifests/main.ts", ...args], { cwd: root, reject: false, all: true });

beforeAll(async () => {
  await ensureManifestChecks();
  const run = await command("render", ...stacks);
  expect(run.exitCode, run.all).toBe(0);
  for (const stack of stacks) manifests.set(stack, [...readManifests(join(root, "rendered", stack)), ...session]);
});

const open = (stack: string, findings: Finding[]) =>
  findings.filter((finding) => !suppressions.some((suppression) => covers(suppression, stack, finding)));

test.each(stacks)("%s: kube-score finds nothing but what suppressions.ts explains", async (stack) => {
  expect(open(stack, await kubeScoreFindings(manifests.get(stack) ?? []))).toEqual([]);
});

test.each(stacks)("%s: Monokle finds nothing but what suppressions.ts explains", async (stack) => {
  expect(open(stack, await monokleFindings(manifests.get(stack) ?? []))).toEqual([]);
});

test.each(stacks)("%s: every pod is restricted, says Pod Security's own library", async (stack) => {
  expect(await podSecurityFindings(manifests.get(stack) ?? [])).toEqual([]);
});

test("the tools see: a pod that breaks all is found by each", async () => {
  const bad = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "bad", namespace: "berth" },
    spec: { hostNetwork: true, containers: [{ name: "bad", image: "bad", securityContext: { privileged: true } }] },
  };
  for (const findings of [kubeScoreFindings, monokleFindings, podSecurityFindings])
    expect(open("prod", await findings([bad])).map(({ object }) => object)).toContain("Pod berth/bad");
});

test("every suppression is needed", async () => {
  const used = new Set<Suppression>();
  for (const [stack, each] of manifests)
    for (const finding of [...(await kubeScoreFindings(each)), ...(await monokleFindings(each))])
      for (const suppression of suppressions) if (covers(suppression, stack, finding)) used.add(suppression);
  expect(suppressions.filter((suppression) => !used.has(suppression))).toEqual([]);
});

test("the policy pack lets every stack pass", async () => {
  const run = await command("policy", ...stacks);
  expect(run.exitCode, run.all).toBe(0);
});

test("the policy pack refuses an object that breaks a rule, and says which", async () => {
  const service = {
    type: "kubernetes:core/v1:Service",
    name: "open",
    inputs: { apiVersion: "v1", kind: "Service", metadata: { name: "open" }, spec: { type: "LoadBalancer" } },
  };
  await expect(checkPolicies("prod", [service])).rejects.toThrow(
    /no-public-service {2}\(kubernetes:core\/v1:Service: open\).*is a LoadBalancer/s,
  );
});
