/**
 * Checks the manifests of each stack and of a session with kube-score, Monokle, the Pod Security library and the policy pack.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { V1PodSpec } from "@kubernetes/client-node";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type RecordedResource, recordStack } from "../../infra/testing/record.ts";
import { ensureManifestChecks } from "../../local/checks/programs.ts";
import { root } from "../../machine/machine.ts";
import { kubeScoreFindings } from "./kube-score.ts";
import { type Finding, type Manifest, readManifests } from "./manifests.ts";
import { monokleFindings } from "./monokle.ts";
import { podSecurityFindings } from "./pod-security.ts";
import { checkPolicies, renderStack } from "./stacks.ts";
import { covers, type Suppression, suppressions } from "./suppressions.ts";

const committed = ["dev", "prod"];
/** The stack prod with `autoscaler: keda`. */
const withKeda = "prod with KEDA";
const stacks = [...committed, withKeda];
/** The objects that the worker creates for a session of the tenant acme, from the reviewed golden file. */
const session: Manifest[] = JSON.parse(
  readFileSync(join(root, "runtime/src/cluster/podSpec/podSpec.golden.json"), "utf8"),
);

const tools = { kubeScore: kubeScoreFindings, monokle: monokleFindings, podSecurity: podSecurityFindings };
/** The findings of each stack. */
const findings = new Map<string, Record<keyof typeof tools, Finding[]>>();

/** A Pulumi backend and home that the shell's environment names. Both must stay empty, apart from logs in the home. */
const traps = mkdtempSync(join(tmpdir(), "berth-traps-"));
for (const name of ["backend", "home"]) mkdirSync(join(traps, name));

const command = (...args: string[]) =>
  execa(process.execPath, ["tools/manifests/main.ts", ...args], {
    cwd: root,
    env: {
      PULUMI_BACKEND_URL: `file://${join(traps, "backend")}`,
      PULUMI_HOME: join(traps, "home"),
      PULUMI_STACK: "organization/berth/trap",
      PULUMI_ACCESS_TOKEN: "trap",
      PULUMI_CONFIG_PASSPHRASE: "trap",
    },
    reject: false,
    all: true,
  });
/** The run of `npm run policy`. It runs at the same time as the rendering, because each of them uses one process. */
let policy: ReturnType<typeof command>;

const rendered = mkdtempSync(join(tmpdir(), "berth-rendered-"));
let kedaResources: RecordedResource[];

beforeAll(async () => {
  policy = command("policy", ...committed);
  const [render] = await Promise.all([command("render", ...committed), ensureManifestChecks()]);
  expect(render.exitCode, render.all).toBe(0);
  // The Kubernetes providers would read these variables as settings of the stack.
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
  kedaResources = await recordStack("prod", { autoscaler: "keda" });
  await renderStack("prod", rendered, kedaResources);
  for (const stack of stacks) {
    const directory = stack === withKeda ? rendered : join(root, "rendered", stack);
    const manifests = [...readManifests(directory), ...session];
    const [kubeScore, monokle, podSecurity] = await Promise.all([
      tools.kubeScore(manifests),
      tools.monokle(manifests),
      tools.podSecurity(manifests),
    ]);
    findings.set(stack, { kubeScore, monokle, podSecurity });
  }
});

afterAll(() => {
  for (const directory of [traps, rendered]) rmSync(directory, { recursive: true, force: true });
});

const open = (stack: string, findings: Finding[]) =>
  findings.filter((finding) => !suppressions.some((suppression) => covers(suppression, stack, finding)));

const found = (stack: string, tool: keyof typeof tools): Finding[] => {
  const all = findings.get(stack);
  if (all === undefined) throw new Error(`the stack ${stack} was not checked`);
  return all[tool];
};

test.each(stacks)("%s: kube-score finds only what suppressions.ts explains", (stack) => {
  expect(open(stack, found(stack, "kubeScore"))).toEqual([]);
});

test.each(stacks)("%s: Monokle finds only what suppressions.ts explains", (stack) => {
  expect(open(stack, found(stack, "monokle"))).toEqual([]);
});

test.each(stacks)("%s: every pod passes the level restricted of the Pod Security library", (stack) => {
  expect(found(stack, "podSecurity")).toEqual([]);
});

test("each tool reports a pod that breaks all rules", async () => {
  const bad = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "bad", namespace: "berth" },
    spec: { hostNetwork: true, containers: [{ name: "bad", image: "bad", securityContext: { privileged: true } }] },
  };
  for (const check of Object.values(tools))
    expect(open("prod", await check([bad])).map(({ object }) => object)).toContain("Pod berth/bad");
});

test("Pod Security lets a session have its berthd by an image volume", async () => {
  const withVolume = (source: object) =>
    session
      .filter(({ kind }) => kind === "Pod")
      .map((pod) => {
        const { spec } = pod as Manifest & { spec: V1PodSpec };
        return { ...pod, spec: { ...spec, volumes: [...(spec.volumes ?? []), { name: "berthd", ...source }] } };
      });
  expect(await tools.podSecurity(withVolume({ image: { reference: "berthd@sha256:1" } }))).toEqual([]);
  expect(await tools.podSecurity(withVolume({ hostPath: { path: "/opt" } }))).toHaveLength(1);
});

test("every suppression is necessary", () => {
  const used = new Set<Suppression>();
  for (const stack of stacks)
    for (const finding of [...found(stack, "kubeScore"), ...found(stack, "monokle")])
      for (const suppression of suppressions) if (covers(suppression, stack, finding)) used.add(suppression);
  expect(suppressions.filter((suppression) => !used.has(suppression))).toEqual([]);
});

test("every stack passes the policy pack", async () => {
  const run = await policy;
  expect(run.exitCode, run.all).toBe(0);
});

test(`${withKeda} passes the policy pack`, async () => {
  expect(readManifests(rendered).map(({ kind }) => kind)).toContain("ScaledObject");
  await checkPolicies("prod", kedaResources);
});

test("rendering and checking write nothing to the Pulumi backend and home of the shell's environment", async () => {
  await policy;
  // Only `pulumi version` writes to this home, because it always writes a log.
  const written = readdirSync(traps, { recursive: true, encoding: "utf8" }).filter(
    (path) => !path.startsWith("home/logs"),
  );
  expect(written.sort()).toEqual(["backend", "home"]);
});

test("the policy pack refuses an object that breaks a rule, and names the rule", async () => {
  const service = {
    type: "kubernetes:core/v1:Service",
    name: "open",
    inputs: { apiVersion: "v1", kind: "Service", metadata: { name: "open" }, spec: { type: "LoadBalancer" } },
  };
  await expect(checkPolicies("prod", [service])).rejects.toThrow(
    /no-public-service {2}\(kubernetes:core\/v1:Service: open\).*is a LoadBalancer/s,
  );
});
