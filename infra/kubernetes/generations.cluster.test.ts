/**
 * Tests generations (see generations.ts) on a real cluster, with Pulumi and a temporary stack, and tests which old generations
 * are deleted.
 */

import { until } from "@berth/testing/until.ts";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Stack } from "@pulumi/pulumi/automation/index.js";
import { beforeAll, expect, test, vi } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { kubectlWait, TestNamespace } from "../../local/cluster/testing.ts";
import { ensurePulumi } from "../../local/pulumi/tools.ts";
import { machine } from "../../machine/machine.ts";
import { withThrowAwayStack } from "../../tools/manifests/throw-away.ts";
import { collect, type FoundGenerations } from "./cluster.ts";
import { collectable, Generations } from "./generations.ts";

const { context, kubeconfig, registry } = machine;

beforeAll(async () => {
  vi.stubEnv("KUBECONFIG", kubeconfig);
  await ensurePulumi();
});

const labels = { "app.kubernetes.io/instance": "try", "app.kubernetes.io/part-of": "berth" };

const inNamespace = (namespace: TestNamespace, ...args: string[]) => kubectl(["-n", namespace.name, ...args]);

/** The sorted names of the existing generations. */
const names = async (namespace: TestNamespace, kinds = "configmaps,secrets") =>
  (await inNamespace(namespace, "get", kinds, "-l", "app.kubernetes.io/instance=try", "-o", "name")).split("\n").sort();

/** The settings of the temporary stack for one `up`. */
interface Wanted {
  content: string;
  /** A label of the ConfigMap. Another version may set another value. */
  version: string;
  /** Whether Kubernetes refuses the workload. */
  broken?: boolean;
}

/**
 * The stack's program: a ConfigMap whose name contains a hash, and a Deployment without pods that refers to the ConfigMap.
 */
function program(namespace: string, { content, version, broken = false }: Wanted): void {
  const provider = { context, clusterIdentifier: context };
  const kubernetes = new k8s.Provider("kubernetes", provider);
  const generations = new Generations(provider);
  class Component extends pulumi.ComponentResource {}
  const parent = new Component("try:index:Component", "try", {}, { providers: [kubernetes] });
  const settings = generations.configMap(
    "settings",
    { namespace, name: "settings", labels: { ...labels, version }, data: { content } },
    { parent },
  );
  const pod = { metadata: { labels }, spec: podSpec(settings) };
  new k8s.apps.v1.Deployment(
    "api",
    {
      metadata: { name: "api", namespace },
      spec: { replicas: broken ? -1 : 0, revisionHistoryLimit: 1, selector: { matchLabels: labels }, template: pod },
    },
    { parent },
  );
  generations.collect({ context }, namespace, labels);
}

const podSpec = <T>(name: T) => ({
  containers: [{ name: "node", image: `${registry}/none`, envFrom: [{ configMapRef: { name } }] }],
});

test("a generation stays when an `up` makes the next one, even if the `up` fails; it is used again, and is deleted when no object refers to it", async () => {
  await using namespace = await TestNamespace.create();
  let wanted: Wanted = { content: "one", version: "1" };
  const up = async (stack: Stack, next: Wanted) => {
    wanted = next;
    const { stdout, stderr } = await stack.up({ color: "never" });
    expect(`${stdout}${stderr}`).not.toMatch(/could not be deleted|Deleted old/);
    return names(namespace);
  };
  const nameOf = async () => inNamespace(namespace, "get", "deployment", "api", "-o", "jsonpath={..configMapRef.name}");

  await withThrowAwayStack(
    "try",
    () => program(namespace.name, wanted),
    async (stack) => {
      const one = await up(stack, { content: "one", version: "1" });
      expect(one).toEqual([`configmap/${await nameOf()}`]);
      const both = await up(stack, { content: "two", version: "1" });
      expect(both).toHaveLength(2);
      expect(both).toEqual(expect.arrayContaining([...one, `configmap/${await nameOf()}`]));

      await expect(up(stack, { content: "three", version: "1", broken: true })).rejects.toThrow(/replicas/);
      const all = await names(namespace);
      expect(all).toHaveLength(3);
      expect(all).toEqual(expect.arrayContaining(both));

      // The stack gets the content "two" again. Its object is in the cluster, and Pulumi's state lists the object as one to
      // delete.
      expect(await up(stack, { content: "two", version: "2" })).toEqual(all);
      // The stack gets the content "one" again. Its object is only in the cluster, with a label that another user has
      // changed.
      await inNamespace(namespace, "label", `${one}`, "version=x", "--overwrite", "--field-manager=somebody");
      expect(await up(stack, { content: "one", version: "2" })).toEqual(all);
      expect(one).toEqual([`configmap/${await nameOf()}`]);
      expect(await inNamespace(namespace, "get", `${one}`, "-o", "jsonpath={.metadata.labels.version}")).toBe("2");

      await inNamespace(namespace, "rollout", "undo", "deployment/api");
      expect(both).toContain(`configmap/${await nameOf()}`);
      expect(one).not.toContain(`configmap/${await nameOf()}`);

      const four = await up(stack, { content: "four", version: "2" });
      expect(four).toHaveLength(4);
      await until(
        "the history is of one version",
        60,
        () => inNamespace(namespace, "get", "replicasets", "-o", "name"),
        (list) => list.split("\n").length === 2,
      );
      // Two hours later, only "one" may be deleted: "three" is the previous generation, and the rollout history refers to
      // "two".
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 7_200_000 });
      const { stdout } = await stack.up({ color: "never" }).finally(() => vi.useRealTimers());
      expect(stdout).toContain(`that no object refers to: ConfigMap ${`${one}`.replace("configmap/", "")}.`);
      const left = await names(namespace);
      expect(left).toEqual(four.filter((name) => !one.includes(name)));

      await stack.destroy({ color: "never" });
      expect(await names(namespace)).toEqual(left); // they are deleted with the namespace
    },
    kubeconfig,
  );
});

const configMap = (name: string, more: object = {}) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, labels },
  immutable: true,
  ...more,
});
const workload = (apiVersion: string, kind: string, spec: object, name = kind.toLowerCase()) => ({
  apiVersion,
  kind,
  metadata: { name },
  spec,
});
/** The spec of a workload without pods. */
const selected = (kind: string, name: string) => {
  const own = { kind };
  return { replicas: 0, selector: { matchLabels: own }, template: { metadata: { labels: own }, spec: podSpec(name) } };
};
/** A node selector that matches no node. */
const nowhere = { nodeSelector: { none: "none" } };

test("a generation is kept if a workload, its history, a job or a pod refers to it, and objects of others are kept", async () => {
  await using namespace = await TestNamespace.create();
  const named = [
    "in-deployment-aaaaaaaaaa",
    "in-replicaset-aaaaaaaaaa",
    "in-statefulset-aaaaaaaaaa",
    "in-revision-aaaaaaaaaa",
    "in-daemonset-aaaaaaaaaa",
    "in-job-aaaaaaaaaa",
    "in-cronjob-aaaaaaaaaa",
    "in-pod-aaaaaaaaaa",
  ];
  const job = (name: string) => ({
    suspend: true,
    template: { spec: { restartPolicy: "Never", ...podSpec(name) } },
  });
  const current = "current-aaaaaaaaaa";
  const others = ["of-no-content", "mutable-aaaaaaaaaa", "of-another-stack-aaaaaaaaaa"];
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "superseded-bbbbbbbbbb", labels },
    immutable: true,
  };
  await namespace.apply(
    ...[...named, current, "superseded-aaaaaaaaaa", "of-no-content"].map((name) => configMap(name)),
    configMap("mutable-aaaaaaaaaa", { immutable: false }),
    configMap("of-another-stack-aaaaaaaaaa", { metadata: { name: "of-another-stack-aaaaaaaaaa" } }),
    secret,
    workload("apps/v1", "Deployment", selected("deployment", "in-replicaset-aaaaaaaaaa")),
    workload("apps/v1", "StatefulSet", { serviceName: "x", ...selected("statefulset", "in-revision-aaaaaaaaaa") }),
    workload("apps/v1", "DaemonSet", {
      selector: { matchLabels: { kind: "daemonset" } },
      template: {
        metadata: { labels: { kind: "daemonset" } },
        spec: { ...podSpec("in-daemonset-aaaaaaaaaa"), ...nowhere },
      },
    }),
    workload("batch/v1", "Job", job("in-job-aaaaaaaaaa")),
    workload("batch/v1", "CronJob", {
      schedule: "0 0 31 2 *",
      jobTemplate: { spec: job("in-cronjob-aaaaaaaaaa") },
    }),
    workload("v1", "Pod", { ...podSpec("in-pod-aaaaaaaaaa"), ...nowhere }),
  );
  // The controllers keep the first templates as history.
  for (const kept of ["replicaset", "controllerrevision"])
    await kubectlWait(
      "create",
      60,
      ...["-n", namespace.name, kept, "-l", `kind=${kept === "replicaset" ? "deployment" : "statefulset"}`],
    );
  await namespace.apply(
    workload("apps/v1", "Deployment", selected("deployment", "in-deployment-aaaaaaaaaa")),
    workload("apps/v1", "StatefulSet", { serviceName: "x", ...selected("statefulset", "in-statefulset-aaaaaaaaaa") }),
  );
  const inHours = (hours: number) => (found: FoundGenerations) =>
    collectable(found, new Set([current]), new Date(Date.now() + hours * 3_600_000));

  expect(await collect({ context }, namespace.name, labels, inHours(0))).toEqual([]);
  expect((await collect({ context }, namespace.name, labels, inHours(2))).sort()).toEqual([
    "ConfigMap superseded-aaaaaaaaaa",
    "Secret superseded-bbbbbbbbbb",
  ]);
  const left = await inNamespace(namespace, "get", "configmaps", "-o", "jsonpath={.items[*].metadata.name}");
  expect(
    left
      .split(" ")
      .filter((name) => name !== "kube-root-ca.crt")
      .sort(),
  ).toEqual([...named, current, ...others].sort());
});
