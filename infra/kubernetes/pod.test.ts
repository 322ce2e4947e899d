import { expect, test } from "vitest";
import { confinedPod, tmp } from "./pod.ts";

const defaults = { priorityClassName: "berth-platform", imagePullSecrets: [], requestScale: 1 };
const resources = { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "1", memory: "512Mi" } };
const container = { name: "main", image: "example.com/main", resources };
const pod = { component: "redis", defaults, uid: 999, containers: [container] } as const;

test("a pod has no right, cannot become root, and can write nowhere", () => {
  const { metadata, spec } = confinedPod({ ...pod, containers: [container] });
  expect(metadata).toMatchObject({ labels: { "app.kubernetes.io/component": "redis" } });
  expect(metadata).not.toHaveProperty("annotations");
  expect(spec).toEqual({
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    priorityClassName: "berth-platform",
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 999,
      runAsGroup: 999,
      fsGroup: 999,
      fsGroupChangePolicy: "OnRootMismatch",
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [
      {
        name: "main",
        image: "example.com/main",
        resources: {
          requests: { cpu: "100m", memory: "128Mi", "ephemeral-storage": "64Mi" },
          limits: { cpu: "1", memory: "512Mi", "ephemeral-storage": "256Mi" },
        },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
      },
    ],
  });
});

test("what all pods have in common: priority, pull secrets, and requests of every container times the scale; limits stay", () => {
  const { spec } = confinedPod({
    ...pod,
    defaults: { priorityClassName: "berth-platform", imagePullSecrets: ["registry-login"], requestScale: 0.1 },
    initContainers: [{ ...container, name: "init" }],
    containers: [{ ...container, scratch: { request: "32Mi", limit: "1Gi" } }],
  });
  const requests = { cpu: "10m", memory: "13Mi" };
  expect(spec).toMatchObject({
    priorityClassName: "berth-platform",
    imagePullSecrets: [{ name: "registry-login" }],
    initContainers: [
      {
        name: "init",
        resources: {
          requests: { ...requests, "ephemeral-storage": "7Mi" },
          limits: { ...resources.limits, "ephemeral-storage": "256Mi" },
        },
      },
    ],
    containers: [
      {
        name: "main",
        resources: {
          requests: { ...requests, "ephemeral-storage": "4Mi" },
          limits: { ...resources.limits, "ephemeral-storage": "1Gi" },
        },
      },
    ],
  });
});

test("a volume is named once, and every container has it at the same place", () => {
  const { spec } = confinedPod({
    ...pod,
    initContainers: [{ ...container, name: "init" }],
    containers: [container],
    mounts: [
      {
        name: "config",
        path: "/etc/one/file",
        subPath: "file",
        readOnly: true,
        volume: { configMap: { name: "config-1" } },
      },
      tmp("64Mi"),
    ],
  });
  const volumeMounts = [
    { name: "config", mountPath: "/etc/one/file", subPath: "file", readOnly: true },
    { name: "tmp", mountPath: "/tmp" },
  ];
  expect(spec).toMatchObject({
    initContainers: [{ volumeMounts }],
    containers: [{ volumeMounts }],
    volumes: [
      { name: "config", configMap: { name: "config-1" } },
      { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
    ],
  });
});

test("only a pod with an account gets a token", () => {
  expect(confinedPod({ ...pod, containers: [container], account: "api" }).spec).toMatchObject({
    serviceAccountName: "api",
    automountServiceAccountToken: true,
  });
  expect(confinedPod({ ...pod, containers: [container], account: "api", withToken: false }).spec).toMatchObject({
    serviceAccountName: "api",
    automountServiceAccountToken: false,
  });
});

test("placement and metrics are said of the pod", () => {
  const stays = confinedPod({ ...pod, containers: [container], placement: "stays", metricsPort: 9121 });
  expect(stays.metadata.annotations).toEqual({
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "prometheus.io/scrape": "true",
    "prometheus.io/port": "9121",
    "prometheus.io/path": "/metrics",
  });
  const { spec } = confinedPod({ ...pod, containers: [container], placement: "spread" });
  expect(spec).toHaveProperty("topologySpreadConstraints");
  expect(spec).toHaveProperty("affinity.podAntiAffinity");
});

test("probes come under Kubernetes' names", () => {
  const probe = (port: number) => ({ tcpSocket: { port } });
  const probes = { startup: probe(1), ready: probe(2), live: probe(3) };
  const { spec } = confinedPod({ ...pod, containers: [{ ...container, probes }] });
  expect(spec.containers).toMatchObject([
    { startupProbe: probe(1), readinessProbe: probe(2), livenessProbe: probe(3) },
  ]);
});
