import { readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { TestNamespace } from "../../local/cluster/testing.ts";
import { machine } from "../../machine/machine.ts";
import { identify, readCluster } from "./cluster.ts";

const { context, kubeconfig } = machine;

const asked = (namespace: string, name = context) => {
  vi.stubEnv("KUBECONFIG", kubeconfig);
  return readCluster({ context: name }, namespace);
};

const hpa = (name: string, metadata: object = {}) => ({
  apiVersion: "autoscaling/v2",
  kind: "HorizontalPodAutoscaler",
  metadata: { name, ...metadata },
  spec: { scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "worker" }, maxReplicas: 2 },
});

test("readCluster() finds the namespace's autoscalers with their targets and owners", async () => {
  await using namespace = await TestNamespace.create();
  const owner = { apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject", name: "worker", uid: "of-no-object" };
  await namespace.apply(hpa("worker"), hpa("keda-hpa-worker", { ownerReferences: [owner] }));
  const { autoscalers } = await asked(namespace.name);
  expect(autoscalers?.sort((a, b) => a.name.localeCompare(b.name))).toEqual([
    { name: "keda-hpa-worker", target: "Deployment worker", owners: ["ScaledObject"] },
    { name: "worker", target: "Deployment worker", owners: [] },
  ]);
});

test("readCluster() finds the registered APIs, and no autoscaler if the namespace does not exist", async () => {
  const { apis, autoscalers } = await asked("not-there");
  expect(apis).toContainEqual({ name: "v1.apps", group: "apps", service: null });
  expect(autoscalers).toEqual([]);
});

test("readCluster() finds namespaces and PriorityClasses with the stack that they belong to, and the API's addresses", async () => {
  const { namespaces, priorityClasses, apiServers, unread } = await asked("default");
  expect(namespaces).toContainEqual({ name: "kube-system", stack: null });
  expect(priorityClasses).toContainEqual({ name: "system-node-critical", stack: null });
  expect(apiServers).toEqual([{ address: machine.nodeIp, port: 6443 }]);
  expect(unread).toEqual({});
});

test("readCluster() fails with an error that names an unknown context", async () => {
  await expect(asked("default", "not-there")).rejects.toThrow("the kubeconfig has no context not-there");
});

test("identify() reads the UID of kube-system, by the user's kubeconfig or by a given one", async () => {
  vi.stubEnv("KUBECONFIG", kubeconfig);
  const uid = await kubectl(["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"]);
  expect(await identify({ context })).toBe(uid);
  vi.stubEnv("KUBECONFIG", "/dev/null");
  expect(await identify({ context: "", kubeconfig: readFileSync(kubeconfig, "utf8") })).toBe(uid);
});
