import { expect, test, vi } from "vitest";
import { TestNamespace } from "../../local/cluster/testing.ts";
import { machine } from "../../machine/machine.ts";
import { look } from "./cluster.ts";

const { context, kubeconfig } = machine;

const asked = (namespace: string, name = context) => {
  vi.stubEnv("KUBECONFIG", kubeconfig);
  return look(name, namespace);
};

const hpa = (name: string, metadata: object = {}) => ({
  apiVersion: "autoscaling/v2",
  kind: "HorizontalPodAutoscaler",
  metadata: { name, ...metadata },
  spec: { scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "worker" }, maxReplicas: 2 },
});

test("the autoscalers of the namespace are found with what they scale and who owns them", async () => {
  await using namespace = await TestNamespace.create();
  const owner = { apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject", name: "worker", uid: "of-no-object" };
  await namespace.apply(hpa("worker"), hpa("keda-hpa-worker", { ownerReferences: [owner] }));
  const { autoscalers } = await asked(namespace.name);
  expect(autoscalers.sort((a, b) => a.name.localeCompare(b.name))).toEqual([
    { name: "keda-hpa-worker", target: "Deployment worker", owners: ["ScaledObject"] },
    { name: "worker", target: "Deployment worker", owners: [] },
  ]);
});

test("the registered APIs are found, of a namespace that is not there no autoscaler", async () => {
  const { apis, autoscalers } = await asked("not-there");
  expect(apis).toContainEqual({ name: "v1.apps", group: "apps", service: null });
  expect(autoscalers).toEqual([]);
});

test("an unknown context is told", async () => {
  await expect(asked("default", "not-there")).rejects.toThrow("the kubeconfig has no context not-there");
});
