/** Tests what sets the number of pods. The tests run the whole program with each value of `autoscaler`. */
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";
import { beforeEach, expect, test, vi } from "vitest";
import { type RecordedResource, recordStack } from "../testing/record.ts";

interface Inputs {
  kind: string;
  metadata: { name: string; namespace?: string };
  // biome-ignore lint/suspicious/noExplicitAny: of any kind
  spec: any;
}

beforeEach(() => {
  vi.resetModules(); // the program runs on import
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
});

const of = (resources: RecordedResource[], kind: string) =>
  resources.map(({ inputs }) => inputs as Inputs).filter((inputs) => inputs.kind === kind);
const named = (resources: RecordedResource[], kind: string, name: string) =>
  of(resources, kind).find(({ metadata }) => metadata.name === name);
const names = (resources: RecordedResource[], kind: string) => of(resources, kind).map(({ metadata }) => metadata.name);

/** The Deployments with a fixed number of pods. */
const fixed = (resources: RecordedResource[]) =>
  Object.fromEntries(
    of(resources, "Deployment")
      .filter(({ metadata }) => ["api", "gateway", "worker"].includes(metadata.name))
      .map(({ metadata, spec }) => [metadata.name, spec.replicas]),
  );
const none = { api: undefined, gateway: undefined, worker: undefined };

/** The text of Prometheus' file with alert rules. */
const alerts = (resources: RecordedResource[]): string => {
  const [settings] = of(resources, "ConfigMap").filter(({ metadata }) =>
    metadata.name.startsWith("prometheus-config-"),
  );
  return (settings as unknown as { data: Record<string, string> }).data["alerts.yml"] ?? "";
};

test("with hpa, each Deployment has a HorizontalPodAutoscaler, and the stack has the adapter with its APIs", async () => {
  const resources = await recordStack("prod");
  expect(names(resources, "HorizontalPodAutoscaler")).toEqual(["api", "gateway", "worker"]);
  expect(names(resources, "ScaledObject")).toEqual([]);
  expect(names(resources, "APIService")).toEqual(["v1beta1.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io"]);
  expect(fixed(resources)).toEqual(none);
  const metrics = (named(resources, "HorizontalPodAutoscaler", "gateway")?.spec.metrics ?? []) as Inputs["spec"][];
  expect(metrics.map(({ resource, pods }) => resource?.name ?? pods.metric.name)).toEqual([
    "cpu",
    "berth_open_connections",
  ]);
});

test("with keda, there are valid ScaledObjects, no HorizontalPodAutoscaler, and no API that KEDA serves", async () => {
  const resources = await recordStack("prod", { autoscaler: "keda" });
  expect(names(resources, "HorizontalPodAutoscaler")).toEqual([]);
  expect(names(resources, "APIService")).toEqual([]);
  expect(named(resources, "Deployment", "prometheus-adapter")).toBeUndefined();
  expect(fixed(resources)).toEqual(none);
  expect(alerts(resources)).toContain("BerthAutoscalerMetricMissing");
  const objects = of(resources, "ScaledObject");
  expect(objects.map(({ metadata, spec }) => [metadata.name, spec.scaleTargetRef])).toEqual(
    ["api", "gateway", "worker"].map((name) => [name, { apiVersion: "apps/v1", kind: "Deployment", name }]),
  );
  for (const object of objects) new ScaledObject(object as never).validate();
});

test("with keda, limits, targets and steps are the same as with hpa", async () => {
  const own = await recordStack("prod");
  vi.resetModules();
  const keda = await recordStack("prod", { autoscaler: "keda" });
  for (const name of ["api", "gateway", "worker"]) {
    const [hpa, scaledObject] = [
      named(own, "HorizontalPodAutoscaler", name)?.spec,
      named(keda, "ScaledObject", name)?.spec,
    ];
    expect(scaledObject.minReplicaCount).toBe(hpa.minReplicas);
    expect(scaledObject.maxReplicaCount).toBe(hpa.maxReplicas);
    expect(scaledObject.advanced.horizontalPodAutoscalerConfig.behavior).toEqual(hpa.behavior);
    const targets = (hpa.metrics as Inputs["spec"][]).map(({ resource, pods, external }) => {
      const { type, averageUtilization, averageValue } = (resource ?? pods ?? external).target;
      return [resource?.name ?? "prometheus", type, String(averageUtilization ?? averageValue)];
    });
    expect(
      (scaledObject.triggers as Inputs["spec"][]).map(({ type, metricType, metadata }) => [
        type,
        metricType,
        metadata.value ?? metadata.threshold,
      ]),
    ).toEqual(targets);
  }
});

test("with keda, KEDA may query Prometheus, and an empty result removes no pods", async () => {
  const resources = await recordStack("prod", { autoscaler: "keda", keda: { namespace: "keda-system" } });
  const [rule] = named(resources, "NetworkPolicy", "prometheus-ingress")?.spec.ingress ?? [];
  expect(JSON.stringify(rule.from)).toContain('"kubernetes.io/metadata.name":"keda-system"');
  const asked = of(resources, "ScaledObject")
    .flatMap(({ spec }) => spec.triggers as Inputs["spec"][])
    .filter(({ type }) => type === "prometheus");
  expect(asked).toHaveLength(3);
  for (const { metadata } of asked)
    expect(metadata).toMatchObject({ serverAddress: "http://prometheus.berth.svc:9090", ignoreNullValues: "false" });
});

test("with keda, requestScale and no metrics-server, percentages are the same as with hpa, and the adapter serves only CPU and memory", async () => {
  const resources = await recordStack("dev", { autoscaler: "keda" });
  expect(names(resources, "APIService")).toEqual(["v1beta1.metrics.k8s.io"]);
  const [rules] = of(resources, "ConfigMap")
    .filter(({ metadata }) => metadata.name.startsWith("prometheus-adapter-config-"))
    .map((map) => JSON.stringify(map));
  expect(rules).toContain("resourceRules");
  expect(rules).not.toContain("externalRules");
  const [cpu] = named(resources, "ScaledObject", "api")?.spec.triggers ?? [];
  expect(cpu).toEqual({ type: "cpu", metricType: "Utilization", metadata: { value: "350" } });
});

test("with off, there are `min` pods, no autoscaler and no adapter", async () => {
  const resources = await recordStack("prod", { autoscaler: "off" });
  expect(fixed(resources)).toEqual({ api: 3, gateway: 2, worker: 2 });
  for (const kind of ["HorizontalPodAutoscaler", "ScaledObject", "APIService"])
    expect(names(resources, kind), kind).toEqual([]);
  expect(named(resources, "Deployment", "prometheus-adapter")).toBeUndefined();
  expect(named(resources, "NetworkPolicy", "prometheus-adapter-ingress")).toBeUndefined();
  expect(alerts(resources)).not.toMatch(/autoscaler/i);
});
