/** Tests what the checks of nodes, classes, Secrets and kinds of objects decide. */
import { expect, test } from "vitest";
import { examine } from "./check.ts";
import { lookChecks } from "./checks-look.ts";
import { facts, healthy } from "./testing.ts";

const verdict = async (name: string, more: Parameters<typeof healthy>[0]) => {
  const [result] = await examine(
    lookChecks.filter((check) => check.name === name),
    healthy(more),
  );
  return result;
};

const tainted = facts.nodes.map((node) => ({
  ...node,
  taints: [{ key: "dedicated", value: "x", effect: "NoSchedule" }],
}));
const gpu = { tenants: [{ name: "acme", placement: { nodeSelector: { pool: "gpu" } } }] };
const passwords = { postgres: { passwordSecret: "pg" } };
const inBerth = { namespaces: [{ name: "berth", stack: "mine" }] };
const secret = (name: string, ...keys: string[]) => ({ secrets: [{ namespace: "berth", name, keys }] });
const issued = { ingress: { controller: "haproxy", tls: { issuer: "ca" } } };
const haproxy = { ingressClasses: [{ name: "haproxy", controller: "haproxy-ingress.github.io/controller" }] };
const aClass = (name: string, stack: string | null) => ({ priorityClasses: [{ name, stack }] });
const cilium = {
  group: "cilium.io",
  version: "v2",
  resource: "ciliumnetworkpolicies",
  key: "network.policies: cilium",
  isMade: true,
};

test.each<[string, NonNullable<Parameters<typeof healthy>[0]>, string, RegExp]>([
  ["nodes", {}, "ok", /^2 of 2 nodes may run the pods of the sessions of acme$/],
  [
    "nodes",
    { config: { platform: "linux/amd64" } },
    "failed",
    /the platform \(2 nodes: does not have the label kubernetes.io\/arch=amd64\).*`platform: linux\/arm64`/,
  ],
  [
    "nodes",
    { config: gpu },
    "failed",
    /the sessions of acme \(2 nodes: .*pool=gpu\).*correct `tenants\[0\].placement`/,
  ],
  ["nodes", { facts: { nodes: tainted } }, "failed", /has the taint dedicated=x:NoSchedule.*`placement.platform`/],
  ["nodes", { config: gpu, facts: { addsNodes: true } }, "skipped", /autoscaler may add one/],
  ["nodes", { facts: { nodes: [] } }, "failed", /the cluster has no nodes/],

  ["names", { facts: inBerth }, "ok", /no namespace or PriorityClass of others/],
  [
    "names",
    { facts: { namespaces: [{ name: "tenant-acme", stack: null }], ...aClass("berth-platform", null) } },
    "failed",
    /^The Namespace tenant-acme exists already.* The PriorityClass berth-platform exists already.* Do: change the config/,
  ],
  [
    "names",
    { facts: aClass("berth-platform", "staging"), config: { adoptExisting: true } },
    "failed",
    /The PriorityClass berth-platform belongs to the Berth of the stack staging/,
  ],

  ["priority classes", {}, "ok", /exists, or `up` makes it/],
  [
    "priority classes",
    { config: { priorityClasses: { sessions: { name: "low", value: null } } } },
    "failed",
    /no PriorityClass low, which `priorityClasses.sessions.name` names/,
  ],
  [
    "priority classes",
    { config: { priorityClasses: { sessions: { name: "low", value: null } } }, facts: aClass("low", null) },
    "ok",
    /exists/,
  ],
  [
    "priority classes",
    { config: { tenants: [{ name: "acme", priorityClassName: "urgent" }] } },
    "failed",
    /no PriorityClass urgent, which `tenants\[0\].priorityClassName` names/,
  ],
  [
    "priority classes",
    { config: { tenants: [{ name: "acme", priorityClassName: "berth-sessions" }] } },
    "ok",
    /exists/,
  ],

  ["secrets", {}, "ok", /names no Secret/],
  ["secrets", { config: passwords }, "skipped", /namespaces don't exist yet .*: berth\/pg/],
  ["secrets", { config: passwords, facts: inBerth }, "failed", /the Secret pg of `postgres.passwordSecret` is missing/],
  [
    "secrets",
    { config: passwords, facts: { ...inBerth, ...secret("pg", "secret") } },
    "failed",
    /in the namespace berth has no password/,
  ],
  ["secrets", { config: passwords, facts: { ...inBerth, ...secret("pg", "password") } }, "ok", /with its keys/],
  [
    "secrets",
    { config: { ...passwords, imagePullSecrets: ["registry"] }, facts: inBerth },
    "failed",
    /`postgres.passwordSecret`.*; the Secret registry of `imagePullSecrets`/,
  ],

  ["custom APIs", {}, "ok", /has the kinds/],
  [
    "custom APIs",
    { facts: { missingKinds: [cilium] } },
    "failed",
    /no ciliumnetworkpolicies.cilium.io v2, for `network.policies: cilium`.*install Cilium/,
  ],

  ["ingress", { config: issued, seen: haproxy }, "failed", /no Issuer ca in the namespace berth.*`ingress.tls.issuer`/],
  ["ingress", { config: issued, seen: haproxy, facts: { issuers: ["ca"] } }, "ok", /IngressClass haproxy exists/],
])("%s, with %j: %s", async (name, changes, state, says) => {
  const result = await verdict(name, changes);
  expect(result).toMatchObject({ state });
  const remedy = result?.state === "failed" ? result.remedy : "";
  expect(`${result?.says}${remedy && ` Do: ${remedy}`}`).toMatch(says);
});

test("facts that can't be read fail each check that needs them, and the message names them", async () => {
  const unread = { facts: () => Promise.reject(new Error("the nodes can't be read: the API server answers HTTP 403")) };
  for (const name of ["access", "nodes", "names", "priority classes", "secrets", "custom APIs", "metrics APIs"])
    expect(await verdict(name, { tries: unread }), name).toMatchObject({
      state: "failed",
      says: expect.stringContaining("the nodes can't be read"),
    });
});
