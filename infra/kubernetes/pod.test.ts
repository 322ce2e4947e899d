import { expect, test } from "vitest";
import { onEveryNode } from "./placement.ts";
import { confinedPod, tmp } from "./pod.ts";
import { ScannedImages } from "./scanned-images.ts";

const placement = { nodeSelector: { "kubernetes.io/os": "linux" }, tolerations: [], affinity: null };
const defaults = {
  priorityClassName: "berth-platform",
  imagePullSecrets: [],
  requestScale: 1,
  placement,
  scannedImages: new ScannedImages(),
};
const resources = { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "1", memory: "512Mi" } };
const container = { name: "main", image: "example.com/main", resources };
const pod = { component: "redis", defaults, uid: 999, containers: [container] } as const;

test("a pod has no permissions, cannot become root, and has a read-only file system", () => {
  const { metadata, spec } = confinedPod({ ...pod, containers: [container] });
  expect(metadata).toMatchObject({ labels: { "app.kubernetes.io/component": "redis" } });
  expect(metadata).not.toHaveProperty("annotations");
  expect(spec).toEqual({
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    priorityClassName: "berth-platform",
    nodeSelector: { "kubernetes.io/os": "linux" },
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

test("every pod has the platform's priority and pull secrets, and the scale multiplies requests but not limits", () => {
  const { spec } = confinedPod({
    ...pod,
    defaults: { ...defaults, imagePullSecrets: ["registry-login"], requestScale: 0.1 },
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

test("the pod lists a volume once, and every container mounts the volume at the same path", () => {
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

test("the pod has the annotations for node autoscalers and for metrics, or is spread over nodes", () => {
  const stays = confinedPod({ ...pod, containers: [container], distribution: "stays", metricsPort: 9121 });
  expect(stays.metadata.annotations).toEqual({
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
    "prometheus.io/scrape": "true",
    "prometheus.io/port": "9121",
    "prometheus.io/path": "/metrics",
  });
  const { spec } = confinedPod({ ...pod, containers: [container], distribution: "spread" });
  expect(spec).toHaveProperty("topologySpreadConstraints");
  expect(spec).toHaveProperty("affinity.podAntiAffinity");
});

const own = {
  nodeSelector: { pool: "berth" },
  tolerations: [{ key: "pool", operator: "Exists" }],
  affinity: {
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{}] } },
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 7, podAffinityTerm: { topologyKey: "rack" } }],
    },
  },
};

test("the config's placement applies to each pod, in addition to the spread over nodes", () => {
  const placed = { ...pod, containers: [container], defaults: { ...defaults, placement: own } };
  expect(confinedPod(placed).spec).toMatchObject(own);
  const { nodeSelector, tolerations, affinity } = confinedPod({ ...placed, distribution: "spread" }).spec;
  expect({ nodeSelector, tolerations }).toEqual({ nodeSelector: own.nodeSelector, tolerations: own.tolerations });
  expect(affinity).toMatchObject({ nodeAffinity: own.affinity.nodeAffinity });
  expect(affinity).toHaveProperty("podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution", [
    expect.objectContaining({ weight: 100 }),
    expect.objectContaining({ weight: 7 }),
  ]);
});

test("a pod on every node follows the choice of nodes, but keeps no distance to other pods", () => {
  const { nodeAffinity } = own.affinity;
  expect(onEveryNode(own)).toEqual({ ...own, affinity: { nodeAffinity } });
  expect(onEveryNode({ ...own, affinity: { podAntiAffinity: own.affinity.podAntiAffinity } }).affinity).toBeNull();
});

test("the container's probes have Kubernetes' names", () => {
  const probe = (port: number) => ({ tcpSocket: { port } });
  const probes = { startup: probe(1), ready: probe(2), live: probe(3) };
  const { spec } = confinedPod({ ...pod, containers: [{ ...container, probes }] });
  expect(spec.containers).toMatchObject([
    { startupProbe: probe(1), readinessProbe: probe(2), livenessProbe: probe(3) },
  ]);
});
