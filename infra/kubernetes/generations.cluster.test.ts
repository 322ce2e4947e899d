/** Generations on a real cluster: by Pulumi in a throw-away stack, and what its collection leaves. */
import { until } from "@berth/testing/until.ts";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Stack } from "@pulumi/pulumi/automation/index.js";
import { beforeAll, expect, test, vi } from "vitest";
import { kubectl } from "../../local/cluster/index.ts";
import { TestNamespace } from "../../local/cluster/testing.ts";
import { ensurePulumi } from "../../local/pulumi/tools.ts";
import { machine } from "../../machine/machine.ts";
import { withThrowAwayStack } from "../../tools/manifests/throw-away.ts";
import { collect, type FoundGenerations } from "./cluster.ts";
import { collectable, Generations } from "./generations.ts";

const { context, kubeconfig, registry } = machine;

beforeAll(async () => {
  vi.stubEnv("KUBECONFIG", kubeconfig);
  await ensurePulumi();
}, 600_000);

const labels = { "app.kubernetes.io/instance": "try", "app.kubernetes.io/part-of": "berth" };

const inNamespace = (namespace: TestNamespace, ...args: string[]) => kubectl(["-n", namespace.name, ...args]);

/** The names of the generations there are, sorted. */
const names = async (namespace: TestNamespace, kinds = "configmaps,secrets") =>
  (await inNamespace(namespace, "get", kinds, "-l", "app.kubernetes.io/instance=try", "-o", "name")).split("\n").sort();

/** What the throw-away stack is, for each `up`. */
interface Wanted {
  content: string;
  /** A label of the ConfigMap, which a later version may set to something else. */
  version: string;
  /** Whether the workload is refused. */
  broken?: boolean;
}

/** One ConfigMap named by its content, and a Deployment without pods that names it. */
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
  generations.collect(context, namespace, labels);
}

const podSpec = <T>(name: T) => ({
  containers: [{ name: "node", image: `${registry}/none`, envFrom: [{ configMapRef: { name } }] }],
});

test("a generation stays when the next one is made, also by an `up` that fails, comes back, and is collected when nothing names it", async () => {
  await using namespace = await TestNamespace.create();
  let wanted: Wanted = { content: "one", version: "1" };
  const up = async (stack: Stack, next: Wanted) => {
    wanted = next;
    const { stdout, stderr } = await stack.up({ color: "never" });
    expect(`${stdout}${stderr}`).not.toMatch(/not collected|are deleted/);
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

      // What comes back is in the cluster, and in the state as something to be deleted.
      expect(await up(stack, { content: "two", version: "2" })).toEqual(all);
      // And what is in the cluster only, with a label that somebody else has set.
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
      // Two hours later; "three" is the newest one before, "two" is in the history.
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 7_200_000 });
      const { stdout } = await stack.up({ color: "never" }).finally(() => vi.useRealTimers());
      expect(stdout).toContain(`are deleted: ConfigMap ${`${one}`.replace("configmap/", "")}.`);
      const left = await names(namespace);
      expect(left).toEqual(four.filter((name) => !one.includes(name)));

      await stack.destroy({ color: "never" });
      expect(await names(namespace)).toEqual(left); // they go with the namespace
    },
    kubeconfig,
  );
}, 300_000); // eight runs of Pulumi

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
/** Of a workload without pods. */
const selected = (kind: string, name: string) => {
  const own = { kind };
  return { replicas: 0, selector: { matchLabels: own }, template: { metadata: { labels: own }, spec: podSpec(name) } };
};
/** No node has the label. */
const nowhere = { nodeSelector: { none: "none" } };

test("nothing that a workload, its history, a job or a pod names is collected, and nothing that isn't the stack's", async () => {
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
  // Their controllers have kept the first templates.
  for (const kept of ["replicaset", "controllerrevision"])
    await kubectl([
      "-n",
      namespace.name,
      "wait",
      "--for=create",
      kept,
      "-l",
      `kind=${kept === "replicaset" ? "deployment" : "statefulset"}`,
      "--timeout=60s",
    ]);
  await namespace.apply(
    workload("apps/v1", "Deployment", selected("deployment", "in-deployment-aaaaaaaaaa")),
    workload("apps/v1", "StatefulSet", { serviceName: "x", ...selected("statefulset", "in-statefulset-aaaaaaaaaa") }),
  );
  const inHours = (hours: number) => (found: FoundGenerations) =>
    collectable(found, new Set([current]), new Date(Date.now() + hours * 3_600_000));

  expect(await collect(context, namespace.name, labels, inHours(0))).toEqual([]);
  expect((await collect(context, namespace.name, labels, inHours(2))).sort()).toEqual([
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
