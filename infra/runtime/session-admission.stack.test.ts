/** Tests which objects the API server lets the worker of the deployed stack `dev` make. Each one is a dry run on the server. */
import { expect, test } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { ownerReference, podFor, secretFor, volumeClaimFor } from "../../runtime/src/cluster/podSpec/podSpec.ts";
import { TenantSchema } from "../../runtime/src/domain/tenants.ts";

type Json = { [key: string]: Json } & Json[];

const namespace = "tenant-acme";
const workspace = { size: "1Gi" };
const acme = TenantSchema.parse({ name: "acme", namespace, keys: [], serviceAccount: "agent-runner", workspace });
const digest = `sha256:${"0".repeat(64)}`;
const content = {
  image: { reference: `example.com/agent@${digest}`, hasBerthd: true, writableRoot: false },
  berthd: `example.com/berthd@${digest}`,
  berthdVolume: "copy" as const,
  sessionUrl: "http://api.berth.svc:3002",
};
const foreign = { ...content, image: { ...content.image, hasBerthd: false, writableRoot: true } };
const one = {
  id: "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11",
  tenant: "acme",
  namespace,
  tier: "small",
  desktop: true,
  workspaceMode: "persistent",
} as const;
const owner = ownerReference(one, "uid-of-the-secret");

const pod = () => podFor(one, acme, owner, content);
const secret = () => secretFor(one, { proxy: "the-proxy-token", session: "the-session-token" });
const volumeClaim = () => volumeClaimFor(one, acme, owner);

const worker = "--as=system:serviceaccount:berth:worker";

/** Resolves if the API server would make the object, and rejects with the API server's message otherwise. */
const make = (object: object, ...as: string[]) =>
  kubectl([...as, "create", "--dry-run=server", "-f", "-"], JSON.stringify(object));

test.each([
  ["Secret", secret()],
  ["volume claim", volumeClaim()],
  ["pod", pod()],
  ["pod without a desktop", podFor({ ...one, desktop: false }, acme, owner, content)],
  ["pod with an ephemeral workspace", podFor({ ...one, workspaceMode: "ephemeral" }, acme, owner, content)],
  ["pod of an image without berthd", podFor(one, acme, owner, foreign)],
  ["pod with an image volume", podFor(one, acme, owner, { ...foreign, berthdVolume: "image" })],
])("the worker may make the %s of a session", async (_, object) => {
  expect(await make(object, worker)).toContain("created");
});

/** The object with another value at the path, such as `spec.volumes.9`. */
function changed(object: object, path: string, value: unknown): object {
  const copy = structuredClone(object);
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  const parent = keys.reduce((inner, key) => inner[key] as Json, copy as Json);
  parent[last] = value as Json;
  return copy;
}

const tokenSecret = changed(secret(), "metadata.annotations", { "kubernetes.io/service-account.name": "agent-runner" });
const volume = (source: object) => ({ name: "other", ...source });
const ofOther = { secretKeyRef: { name: "agent-other", key: "session-token" } };

test.each([
  ["pod with another name", pod(), "metadata.name", "agent-other", /name of its session/],
  ["pod without labels", pod(), "metadata.labels", {}, /name of its session/],
  ["pod without an owner", pod(), "metadata.ownerReferences", [], /only owner/],
  ["pod of another kind of Secret", pod(), "metadata.ownerReferences.0.apiVersion", "example.com/v1", /only owner/],
  ["pod with another ServiceAccount", pod(), "spec.serviceAccountName", "default", /ServiceAccount agent-runner/],
  ["pod with a token of its account", pod(), "spec.automountServiceAccountToken", true, /without a token/],
  [
    "pod with another session's Secret",
    pod(),
    "spec.volumes.5",
    volume({ secret: { secretName: "agent-other" } }),
    /volumes must be/,
  ],
  [
    "pod with another session's volume",
    pod(),
    "spec.volumes.5",
    volume({ persistentVolumeClaim: { claimName: "agent-other" } }),
    /volumes must be/,
  ],
  [
    "pod with a token in a projected volume",
    pod(),
    "spec.volumes.5",
    volume({ projected: { sources: [{ serviceAccountToken: { path: "token" } }] } }),
    /volumes must be/,
  ],
  ["pod with a ConfigMap", pod(), "spec.volumes.5", volume({ configMap: { name: "other" } }), /volumes must be/],
  [
    "pod with a Secret in its environment",
    pod(),
    "spec.containers.0.envFrom.1",
    { secretRef: { name: "agent-other" } },
    /environment must come/,
  ],
  [
    "pod with a Secret's value in its environment",
    pod(),
    "spec.containers.0.env.3",
    { name: "OTHER", valueFrom: ofOther },
    /environment must come/,
  ],
  [
    "pod with a Secret's value in the environment of an init container",
    pod(),
    "spec.initContainers.0.env",
    [{ name: "OTHER", valueFrom: ofOther }],
    /environment must come/,
  ],
  [
    "pod with the platform's PriorityClass",
    pod(),
    "spec.priorityClassName",
    "berth-platform",
    /PriorityClass of the platform/,
  ],
  ["pod that bypasses the scheduler", pod(), "spec.nodeName", "other", /bypass the scheduler/],
  ["Secret with another account's token", tokenSecret, "type", "kubernetes.io/service-account-token", /type Opaque/],
  ["Secret with another name", secret(), "metadata.name", "registry-login", /name of its session/],
  [
    "volume claim for a copy",
    volumeClaim(),
    "spec.dataSource",
    { kind: "PersistentVolumeClaim", name: "agent-other" },
    /ask for a new volume/,
  ],
  ["volume claim for an existing volume", volumeClaim(), "spec.volumeName", "other", /ask for a new volume/],
])("the worker may not make a %s", async (_, object, path, value, message) => {
  await expect(make(changed(object, path, value), worker)).rejects.toThrow(message);
});

test("the policies do not restrict an operator's pods", async () => {
  expect(await make(changed(pod(), "metadata.name", "probe"))).toContain("created");
});
