/** Each rule accepts good objects and names what is wrong with bad ones. */
import { describe, expect, test } from "vitest";
import { type KubernetesObject, kubernetesObject, type Manifest } from "../kubernetes.ts";
import { type RuleName, rules } from "./index.ts";

const object = (type: string, props: Manifest, protect = false): KubernetesObject => {
  const resource = { type: `kubernetes:${type}`, name: "it", urn: `urn:pulumi:prod::berth::${type}::it`, props };
  const found = kubernetesObject({ ...resource, opts: { protect } });
  if (!found) throw new Error(`${type} is not a Kubernetes object`);
  return found;
};

const container = {
  name: "main",
  image: `registry.example.com/berth/api@sha256:${"a".repeat(64)}`,
  env: [{ name: "POSTGRES_PASSWORD_FILE", value: "/etc/berth/secrets/postgres-password" }],
  envFrom: [{ configMapRef: { name: "api-config" } }],
  resources: { requests: { cpu: "50m", memory: "128Mi" }, limits: { cpu: "1", memory: "512Mi" } },
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  },
  livenessProbe: { httpGet: { path: "/health/live", port: 3000 } },
  readinessProbe: { httpGet: { path: "/health/ready", port: 3000 } },
};
const pod = {
  securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: "RuntimeDefault" } },
  containers: [container],
  volumes: [{ name: "tmp", emptyDir: {} }],
};
const meta = { name: "it", namespace: "berth" };
const deployment = (ofContainer: Manifest = {}, ofPod: Manifest = {}) =>
  object("apps/v1:Deployment", {
    metadata: meta,
    spec: { template: { spec: { ...pod, containers: [{ ...container, ...ofContainer }], ...ofPod } } },
  });
const securityContext = (changes: Manifest) =>
  deployment({ securityContext: { ...container.securityContext, ...changes } });

const namespace = (labels: Record<string, string>, protect = true) =>
  object("core/v1:Namespace", { metadata: { name: "berth", labels } }, protect);
const restricted = {
  "pod-security.kubernetes.io/enforce": "restricted",
  "pod-security.kubernetes.io/enforce-version": "v1.34",
};
const role = (rule: Manifest) => object("rbac.authorization.k8s.io/v1:Role", { metadata: meta, rules: [rule] });
const service = (spec: Manifest) => object("core/v1:Service", { metadata: meta, spec });
const policy = (spec: Manifest) => object("networking.k8s.io/v1:NetworkPolicy", { metadata: meta, spec });
const configMap = (data: Record<string, string>) => object("core/v1:ConfigMap", { metadata: meta, data });
const claim = (protect: boolean) => object("core/v1:PersistentVolumeClaim", { metadata: meta }, protect);

/**
 * The objects that each rule accepts, and the objects that it refuses, each with a part of the message. In place of an
 * object, there can be a list: first the object that the rule checks, then the stack's other objects.
 */
const cases: Record<
  RuleName,
  { passes: (KubernetesObject | KubernetesObject[])[]; fails: [KubernetesObject | KubernetesObject[], string][] }
> = {
  "restricted-pods": {
    passes: [deployment(), configMap({})],
    fails: [
      [deployment({}, { hostNetwork: true }), "hostNetwork is set"],
      [deployment({}, { volumes: [{ name: "node", hostPath: { path: "/" } }] }), "volume node is a hostPath"],
      [deployment({}, { securityContext: {} }), "set runAsNonRoot: true"],
      [deployment({}, { securityContext: { ...pod.securityContext, seccompProfile: undefined } }), "seccompProfile"],
      [deployment({}, { initContainers: [{ ...container, name: "first", securityContext: {} }] }), "container first"],
      [deployment({ ports: [{ containerPort: 80, hostPort: 80 }] }), "hostPort 80"],
      [securityContext({ runAsUser: 0 }), "runAsUser is root"],
      [securityContext({ privileged: true }), "privileged is set"],
      [securityContext({ allowPrivilegeEscalation: undefined }), "set allowPrivilegeEscalation: false"],
      [securityContext({ capabilities: { drop: ["NET_RAW"] } }), "drop ALL"],
      [securityContext({ capabilities: { drop: ["ALL"], add: ["SYS_ADMIN"] } }), "adds the capabilities SYS_ADMIN"],
      [securityContext({ readOnlyRootFilesystem: false }), "set readOnlyRootFilesystem: true"],
    ],
  },
  "restricted-namespaces": {
    passes: [namespace(restricted)],
    fails: [
      [namespace({}), "set the label pod-security.kubernetes.io/enforce: restricted"],
      [namespace({ ...restricted, "pod-security.kubernetes.io/enforce-version": "latest" }), "pin the rules' version"],
    ],
  },
  "image-digests": {
    passes: [deployment()],
    fails: [
      [deployment({ image: "redis:7" }), "redis:7 is not referenced by digest"],
      [
        deployment({}, { initContainers: [{ name: "first", image: "busybox" }] }),
        "busybox is not referenced by digest",
      ],
    ],
  },
  probes: {
    passes: [
      deployment(),
      object("batch/v1:Job", { spec: { template: { spec: { containers: [{ name: "once" }] } } } }),
    ],
    fails: [
      [deployment({ livenessProbe: undefined }), "has no livenessProbe"],
      [deployment({ readinessProbe: undefined }), "has no readinessProbe"],
    ],
  },
  resources: {
    passes: [deployment()],
    fails: [
      [deployment({ resources: { limits: container.resources.limits } }), "set resources.requests.cpu"],
      [deployment({ resources: { ...container.resources, limits: { cpu: "1" } } }), "set resources.limits.memory"],
      [
        object("batch/v1:CronJob", {
          spec: { jobTemplate: { spec: { template: { spec: { containers: [{ name: "a" }] } } } } },
        }),
        "container a: set resources.limits.cpu",
      ],
    ],
  },
  "no-wildcard-rbac": {
    passes: [role({ apiGroups: [""], resources: ["pods"], verbs: ["get"] })],
    fails: [
      [role({ apiGroups: [""], resources: ["pods"], verbs: ["*"] }), "rules[0].verbs has a wildcard"],
      [role({ apiGroups: [""], resources: ["*/scale"], verbs: ["get"] }), "rules[0].resources has a wildcard"],
      [
        object("rbac.authorization.k8s.io/v1:ClusterRoleBinding", { roleRef: { name: "cluster-admin" } }),
        "binds cluster-admin",
      ],
    ],
  },
  "no-public-service": {
    passes: [service({ type: "ClusterIP" }), service({ clusterIP: "None" })],
    fails: [
      [service({ type: "LoadBalancer" }), "is a LoadBalancer"],
      [service({ type: "NodePort" }), "is a NodePort"],
      [service({ externalIPs: ["203.0.113.1"] }), "has externalIPs"],
    ],
  },
  "network-policies": {
    passes: [
      [deployment(), policy({ podSelector: {}, policyTypes: ["Ingress", "Egress"] })],
      [namespace({}), policy({ podSelector: {}, policyTypes: ["Ingress", "Egress"] })],
    ],
    fails: [
      [[deployment()], "namespace berth has no NetworkPolicy"],
      [[namespace({}), policy({ podSelector: {}, policyTypes: ["Ingress"] })], "in both directions"],
      [[namespace({}), policy({ podSelector: {}, policyTypes: ["Ingress", "Egress"], egress: [{}] })], "denies all"],
      [
        [namespace({}), policy({ podSelector: { matchLabels: { app: "api" } }, policyTypes: ["Ingress", "Egress"] })],
        "denies all",
      ],
    ],
  },
  "no-plain-secrets": {
    passes: [
      deployment(),
      deployment({ env: [{ name: "HOST", valueFrom: { secretKeyRef: { name: "s", key: "host" } } }] }),
      configMap({ SECRETS_DIR: "/etc/berth/secrets", PUBLIC_URL: "https://berth.example.com" }),
    ],
    fails: [
      [deployment({ env: [{ name: "DB_PASSWORD", value: "hunter2" }] }), "env DB_PASSWORD is a secret"],
      [
        deployment({ env: [{ name: "DB", valueFrom: { secretKeyRef: { name: "s", key: "password" } } }] }),
        "env DB is a secret",
      ],
      [deployment({ envFrom: [{ secretRef: { name: "api-secrets" } }] }), "envFrom has the Secret api-secrets"],
      [deployment({ env: [{ name: "DB", value: "postgres://berth:hunter2@db/berth" }] }), "env DB is a secret"],
      [configMap({ "api-key": "abc" }), "data.api-key is a secret"],
      [configMap({ file: "-----BEGIN EC PRIVATE KEY-----" }), "data.file is a secret"],
      [configMap({ file: `key: berth_acme_${"x".repeat(32)}` }), "data.file is a secret"],
    ],
  },
  "protected-data": {
    passes: [
      claim(true),
      namespace({}),
      object("core/v1:Namespace", { metadata: { annotations: { "berth.dev/remove": "true" } } }),
      deployment(),
    ],
    fails: [
      [claim(false), "set the resource option protect"],
      [namespace({}, false), "set the resource option protect"],
      [object("apps/v1:StatefulSet", { spec: { volumeClaimTemplates: [{}] } }), "set the resource option protect"],
    ],
  },
};

describe.each(rules)("$name", ({ name, check }) => {
  const faults = (given: KubernetesObject | KubernetesObject[]) => {
    const all = [given].flat();
    return all[0] ? check(all[0], all) : [];
  };
  test.each(cases[name].passes.map((given) => ({ given })))("accepts good object %#", ({ given }) => {
    expect(faults(given)).toEqual([]);
  });
  test.each(cases[name].fails)("refuses bad object %#: $1", (given, says) => {
    expect(faults(given)).toContainEqual(expect.stringContaining(says));
  });
});
