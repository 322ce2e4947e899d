import { expect, test } from "vitest";
import { session, tenant } from "../testing/fixtures.ts";
import { claimFor, ownerReference, podFor, secretFor } from "./podSpec.ts";

const one = session();
const owner = ownerReference(one, "uid-of-the-secret");
const images = { agent: "127.0.0.1:5000/berth/agent@sha256:abc", berthd: "127.0.0.1:5000/berth/berthd@sha256:def" };
const settings = { images, sessionUrl: "http://api.berth.svc.cluster.local:3002" };
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
    ["vnc-proxy", images.berthd],
    ["agent", images.agent],
  ]);
  for (const container of containers) {
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
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
