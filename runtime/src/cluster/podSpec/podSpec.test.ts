import type { V1Container, V1PodSpec } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { podAmounts } from "../../domain/quota/quantities.ts";
import { quantityValue } from "../../domain/quota/quantity.ts";
import { tierNames } from "../../domain/tiers.ts";
import { session, tenant } from "../../testing/fixtures.ts";
import { ownerReference, podFor, secretFor, volumeClaimFor } from "./podSpec.ts";

const one = session();
const owner = ownerReference(one, "uid-of-the-secret");
const agent = "127.0.0.1:5000/berth/agent@sha256:abc";
const berthd = "127.0.0.1:5000/berth/berthd@sha256:def";
const settings = {
  image: { reference: agent, hasBerthd: true, writableRoot: false },
  berthd,
  berthdVolume: "copy" as const,
  sessionUrl: "http://api.berth.svc.cluster.local:3002",
};
/** An image that was not made for Berth. */
const foreign = { ...settings, image: { reference: "debian@sha256:123", hasBerthd: false, writableRoot: false } };
const confined = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};
const tokens = { proxy: "the-proxy-token", session: "the-session-token" };

test("the three complete manifests", async () => {
  const manifests = [
    secretFor(one, tokens),
    volumeClaimFor(one, tenant("acme"), owner),
    podFor(one, tenant("acme"), owner, settings),
  ];
  await expect(`${JSON.stringify(manifests, null, 2)}\n`).toMatchFileSnapshot("./podSpec.golden.json");
});

test("the pod obeys the Pod Security level `restricted` and has no token of the cluster", () => {
  const { spec } = podFor(one, tenant("acme"), owner, settings);
  expect(spec).toMatchObject({
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    restartPolicy: "Never",
    terminationGracePeriodSeconds: 30,
    serviceAccountName: "agent-runner",
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 10001,
      fsGroup: 10001,
      seccompProfile: { type: "RuntimeDefault" },
    },
  });
  const containers = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  expect(containers.map(({ name, image }) => [name, image])).toEqual([
    ["vnc-proxy", berthd],
    ["agent", agent],
  ]);
  for (const container of containers) {
    expect(container.securityContext).toEqual(confined);
    expect(container.resources?.limits).toHaveProperty("memory");
  }
});

test("the kubelet restarts only vnc-proxy, and never the agent", () => {
  const { spec } = podFor(one, tenant("acme"), owner, settings);
  expect(spec?.initContainers?.map(({ name, restartPolicy }) => [name, restartPolicy])).toEqual([
    ["vnc-proxy", "Always"],
  ]);
  // A probe of the sidecar would delay the agent's container.
  expect(spec?.initContainers?.[0]?.startupProbe).toBeUndefined();
  expect(spec?.containers.map(({ name, restartPolicy }) => [name, restartPolicy])).toEqual([["agent", undefined]]);
  expect(spec?.containers[0]?.startupProbe?.exec?.command).toEqual(["berthd", "ready", "6080"]);
});

test("each container sees only its own token, as a file", () => {
  const { spec } = podFor(one, tenant("acme"), owner, settings);
  const mounts = (name: string) =>
    [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map(({ volumeMounts }) =>
      volumeMounts?.some((mount) => mount.name === name),
    );
  expect(mounts("tokens")).toEqual([true, false]);
  expect(mounts("session")).toEqual([false, true]);
  expect(JSON.stringify(spec)).not.toMatch(/the-.*-token/);
  expect(secretFor(one, tokens).stringData).toEqual({
    tokens: "the-proxy-token: 127.0.0.1:5900\n",
    "session-token": "the-session-token",
  });
});

test("an ephemeral workspace is space on the node, limited as the tenant's config says, without a volume claim", () => {
  const { spec } = podFor(
    { ...one, workspaceMode: "ephemeral" },
    tenant("acme", { workspace: { size: "5Gi" } }),
    owner,
    settings,
  );
  expect(spec?.volumes?.[0]).toEqual({ name: "workspace", emptyDir: { sizeLimit: "5Gi" } });
  expect(spec?.containers[0]?.resources).toMatchObject({
    requests: { "ephemeral-storage": "64Mi" },
    limits: { "ephemeral-storage": String(7 * 1024 ** 3) },
  });
  expect(JSON.stringify(spec)).not.toContain("persistentVolumeClaim");
});

test("the volume claim and the pod are owned by the Secret", () => {
  for (const { metadata } of [
    volumeClaimFor(one, tenant("acme"), owner),
    podFor(one, tenant("acme"), owner, settings),
  ]) {
    expect(metadata?.ownerReferences).toEqual([
      expect.objectContaining({ kind: "Secret", name: `agent-${one.id}`, uid: "uid-of-the-secret" }),
    ]);
  }
});

test.each([
  ["small", "1", "2Gi"],
  ["medium", "2", "4Gi"],
  ["large", "4", "8Gi"],
] as const)("tier %s has %s CPU and %s memory at most", (tier, cpu, memory) => {
  const { spec } = podFor({ ...one, tier }, tenant("acme"), owner, settings);
  expect(spec?.containers[0]?.resources).toEqual({ limits: { cpu, memory }, requests: { cpu: "500m", memory: "1Gi" } });
});

test("the tenant's config sets the workspace's size and class, the runtime and the priority; null means the cluster's default", () => {
  const special = tenant("acme", {
    workspace: { size: "5Gi", storageClass: "fast" },
    runtimeClassName: "gvisor",
    priorityClassName: "low",
  });
  expect(volumeClaimFor(one, special, owner).spec).toMatchObject({
    storageClassName: "fast",
    resources: { requests: { storage: "5Gi" } },
  });
  expect(podFor(one, special, owner, settings).spec).toMatchObject({
    runtimeClassName: "gvisor",
    priorityClassName: "low",
  });
  expect(volumeClaimFor(one, tenant("acme"), owner).spec).not.toHaveProperty("storageClassName");
  expect(podFor(one, tenant("acme"), owner, settings).spec).not.toHaveProperty("runtimeClassName");
});

test("an image without berthd gets berthd from the platform's image, through a volume that the agent can't write to", () => {
  const { spec } = podFor(one, tenant("acme"), owner, foreign);
  const [copy, proxy] = spec?.initContainers ?? [];
  expect(copy).toMatchObject({ name: "copy-berthd", image: berthd, command: ["/berthd", "copy", "/opt/berth/bin"] });
  expect(copy?.restartPolicy).toBeUndefined(); // it ends before the other containers start
  expect(copy?.volumeMounts).toEqual([{ name: "berthd", mountPath: "/opt/berth/bin" }]);
  expect(proxy?.name).toBe("vnc-proxy");
  const [container] = spec?.containers ?? [];
  expect(container).toMatchObject({
    image: "debian@sha256:123",
    command: ["/opt/berth/bin/berthd", "session"],
    workingDir: "/home/agent/workspace",
  });
  expect(container?.startupProbe?.exec?.command).toEqual(["/opt/berth/bin/berthd", "ready", "6080"]);
  expect(container?.volumeMounts?.at(-1)).toEqual({ name: "berthd", mountPath: "/opt/berth/bin", readOnly: true });
  expect(spec?.volumes?.at(-1)).toEqual({ name: "berthd", emptyDir: { sizeLimit: "32Mi" } });
  for (const one of [copy, container]) expect(one?.securityContext).toEqual(confined);
});

test("with an image volume, the platform's image is mounted where its copy would be, and nothing is copied", () => {
  const copied = podFor(one, tenant("acme"), owner, foreign).spec;
  const mounted = podFor(one, tenant("acme"), owner, { ...foreign, berthdVolume: "image" }).spec;
  expect(mounted?.containers).toEqual(copied?.containers);
  expect(mounted?.initContainers?.map(({ name }) => name)).toEqual(["vnc-proxy"]);
  expect(mounted?.volumes?.at(-1)).toEqual({ name: "berthd", image: { reference: berthd } });
  expect(mounted?.volumes?.slice(0, -1)).toEqual(copied?.volumes?.slice(0, -1));
  // An image that has berthd needs neither.
  expect(podFor(one, tenant("acme"), owner, { ...settings, berthdVolume: "image" })).toEqual(
    podFor(one, tenant("acme"), owner, settings),
  );
});

test("a session without a desktop has no proxy, does not wait for a proxy, and its pod has no token for one", () => {
  const { spec } = podFor({ ...one, desktop: false }, tenant("acme"), owner, foreign);
  expect(spec?.initContainers?.map(({ name }) => name)).toEqual(["copy-berthd"]);
  expect(spec?.volumes?.map(({ name }) => name)).not.toContain("tokens");
  const [container] = spec?.containers ?? [];
  expect(container?.startupProbe?.exec?.command).toEqual(["/opt/berth/bin/berthd", "ready"]);
  expect(container?.env).toContainEqual({ name: "BERTH_DESKTOP", value: "no" });
});

test("the files of an image are writable only if the config says so, and berthd is never writable", () => {
  const image = { ...foreign.image, writableRoot: true };
  const { spec } = podFor(one, tenant("acme"), owner, { ...foreign, image });
  const roots = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map(({ name, securityContext }) => [
    name,
    securityContext?.readOnlyRootFilesystem,
  ]);
  expect(roots).toEqual([
    ["copy-berthd", true],
    ["vnc-proxy", true],
    ["agent", false],
  ]);
  expect(spec?.containers[0]?.volumeMounts?.at(-1)?.readOnly).toBe(true);
});

/**
 * The resources that Kubernetes counts for a pod under a quota (sidecars are init containers that are always
 * restarted).
 */
function countedByKubernetes({ initContainers = [], containers }: V1PodSpec, of: "requests" | "limits", what: string) {
  const asked = ({ resources }: V1Container) => quantityValue(resources?.[of]?.[what] ?? "0");
  let beside = 0;
  let most = 0;
  for (const container of initContainers) {
    if (container.restartPolicy === "Always") beside += asked(container);
    else most = Math.max(most, beside + asked(container));
  }
  return Math.max(most, beside + containers.reduce((sum, container) => sum + asked(container), 0));
}

test.each(tierNames)(
  "the counted resources of a session of the tier %s are those that Kubernetes counts for its pod",
  (tier) => {
    for (const desktop of [true, false]) {
      for (const content of [settings, foreign]) {
        const { spec } = podFor({ ...one, tier, desktop }, tenant("acme"), owner, content);
        const counted = (of: "requests" | "limits", what: string) => countedByKubernetes(spec as V1PodSpec, of, what);
        expect(podAmounts({ tier, desktop })).toEqual({
          requestsCpu: counted("requests", "cpu"),
          limitsCpu: counted("limits", "cpu"),
          requestsMemory: counted("requests", "memory"),
          limitsMemory: counted("limits", "memory"),
          pods: 1,
          storage: 0,
        });
      }
    }
  },
);

test("the pod runs on the nodes of its tenant's placement, and node autoscalers keep its node", () => {
  const placement = {
    nodeSelector: { "kubernetes.io/arch": "arm64", pool: "sessions" },
    tolerations: [{ key: "sessions", operator: "Exists", effect: "NoSchedule" }],
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } } },
  };
  const { metadata, spec } = podFor(one, tenant("acme", { placement }), owner, settings);
  expect(spec).toMatchObject(placement);
  expect(metadata?.annotations).toMatchObject({
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
  });
  const anywhere = podFor(one, tenant("acme"), owner, settings).spec;
  for (const field of Object.keys(placement)) expect(anywhere).not.toHaveProperty(field);
});
