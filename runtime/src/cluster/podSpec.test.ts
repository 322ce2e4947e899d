import type { V1Container, V1PodSpec } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { amount, podAmounts } from "../domain/quantities.ts";
import { tierNames } from "../domain/tiers.ts";
import { session, tenant } from "../testing/fixtures.ts";
import { claimFor, ownerReference, podFor, secretFor } from "./podSpec.ts";

const one = session();
const owner = ownerReference(one, "uid-of-the-secret");
const agent = "127.0.0.1:5000/berth/agent@sha256:abc";
const berthd = "127.0.0.1:5000/berth/berthd@sha256:def";
const settings = {
  image: { reference: agent, hasBerthd: true, writableRoot: false },
  berthd,
  sessionUrl: "http://api.berth.svc.cluster.local:3002",
};
/** An image that nobody made for Berth. */
const foreign = { ...settings, image: { reference: "debian@sha256:123", hasBerthd: false, writableRoot: false } };
const confined = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};
const tokens = { proxy: "the-proxy-token", session: "the-session-token" };

test("the three manifests, in full", async () => {
  const manifests = [
    secretFor(one, tokens),
    claimFor(one, tenant("acme"), owner),
    podFor(one, tenant("acme"), owner, settings),
  ];
  await expect(`${JSON.stringify(manifests, null, 2)}\n`).toMatchFileSnapshot("./podSpec.golden.json");
});

test("the pod is what Pod Security `restricted` asks for, and has no token of the cluster", () => {
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

test("the kubelet restarts vnc-proxy alone, and the agent never", () => {
  const { spec } = podFor(one, tenant("acme"), owner, settings);
  expect(spec?.initContainers?.map(({ name, restartPolicy }) => [name, restartPolicy])).toEqual([
    ["vnc-proxy", "Always"],
  ]);
  // A probe of the sidecar would hold the agent's container back.
  expect(spec?.initContainers?.[0]?.startupProbe).toBeUndefined();
  expect(spec?.containers.map(({ name, restartPolicy }) => [name, restartPolicy])).toEqual([["agent", undefined]]);
  expect(spec?.containers[0]?.startupProbe?.exec?.command).toEqual(["berthd", "ready", "6080"]);
});

test("each container sees its own token only, as a file", () => {
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

test("an ephemeral workspace is room on the node, as much as the tenant gives, and no claim", () => {
  const { spec } = podFor(
    { ...one, workspaceMode: "ephemeral" },
    tenant("acme", { workspace: { size: "5Gi" } }),
    owner,
    settings,
  );
  expect(spec?.volumes?.[0]).toEqual({ name: "workspace", emptyDir: { sizeLimit: "5Gi" } });
  expect(JSON.stringify(spec)).not.toContain("persistentVolumeClaim");
});

test("claim and pod hang off the Secret", () => {
  for (const { metadata } of [claimFor(one, tenant("acme"), owner), podFor(one, tenant("acme"), owner, settings)]) {
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

test("the tenant chooses the workspace's size and class, the runtime and the priority; null is the cluster's own", () => {
  const special = tenant("acme", {
    workspace: { size: "5Gi", storageClass: "fast" },
    runtimeClassName: "gvisor",
    priorityClassName: "low",
  });
  expect(claimFor(one, special, owner).spec).toMatchObject({
    storageClassName: "fast",
    resources: { requests: { storage: "5Gi" } },
  });
  expect(podFor(one, special, owner, settings).spec).toMatchObject({
    runtimeClassName: "gvisor",
    priorityClassName: "low",
  });
  expect(claimFor(one, tenant("acme"), owner).spec).not.toHaveProperty("storageClassName");
  expect(podFor(one, tenant("acme"), owner, settings).spec).not.toHaveProperty("runtimeClassName");
});

test("an image without berthd gets it from the platform's, by a volume that the agent can't write", () => {
  const { spec } = podFor(one, tenant("acme"), owner, foreign);
  const [copy, proxy] = spec?.initContainers ?? [];
  expect(copy).toMatchObject({ name: "copy-berthd", image: berthd, command: ["/berthd", "copy", "/opt/berth/bin"] });
  expect(copy?.restartPolicy).toBeUndefined(); // it ends before the others begin
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

test("a session without a desktop has no proxy, does not wait for one, and its pod has no token of one", () => {
  const { spec } = podFor({ ...one, desktop: false }, tenant("acme"), owner, foreign);
  expect(spec?.initContainers?.map(({ name }) => name)).toEqual(["copy-berthd"]);
  expect(spec?.volumes?.map(({ name }) => name)).not.toContain("tokens");
  const [container] = spec?.containers ?? [];
  expect(container?.startupProbe?.exec?.command).toEqual(["/opt/berth/bin/berthd", "ready"]);
  expect(container?.env).toContainEqual({ name: "BERTH_DESKTOP", value: "no" });
});

test("an image's own files can be changed only where the config says so, and berthd never", () => {
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

/** What Kubernetes counts of a pod under a quota (sidecars are init containers that are always restarted). */
function countedByKubernetes({ initContainers = [], containers }: V1PodSpec, of: "requests" | "limits", what: string) {
  const asked = ({ resources }: V1Container) => amount(resources?.[of]?.[what] ?? "0");
  let beside = 0;
  let most = 0;
  for (const container of initContainers) {
    if (container.restartPolicy === "Always") beside += asked(container);
    else most = Math.max(most, beside + asked(container));
  }
  return Math.max(most, beside + containers.reduce((sum, container) => sum + asked(container), 0));
}

test.each(tierNames)("what a session of the tier %s counts is what Kubernetes counts of its pod", (tier) => {
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
});
