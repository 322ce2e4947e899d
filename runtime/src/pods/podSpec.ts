/**
 * A session's objects in the cluster; pure functions of session, tenant and config.
 *
 * The Secret is the owner: the claim and the pod refer to it, so deleting it removes all.
 */
import type { V1Container, V1OwnerReference, V1PersistentVolumeClaim, V1Pod, V1Secret } from "@kubernetes/client-node";
import type { Session } from "../sessions/session.ts";
import { tiers } from "../sessions/tiers.ts";
import type { Tenant } from "../tenants/tenants.ts";
import { labels, objectName } from "./names.ts";

/** Port of vnc-proxy (WebSocket) in the pod. */
export const desktopPort = 6080;
const vncPort = 5900;
const uid = 10001;

type Identity = Pick<Session, "id" | "tenant" | "namespace">;

const metadata = (session: Identity, owner?: V1OwnerReference) => ({
  name: objectName(session.id),
  namespace: session.namespace,
  labels: labels(session),
  ...(owner && { ownerReferences: [owner] }),
});

/** The owner. It holds websockify's token file: who knows the token is let through to the VNC server. */
export function secretFor(session: Identity, proxyToken: string): V1Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: metadata(session),
    type: "Opaque",
    immutable: true,
    stringData: { tokens: `${proxyToken}: 127.0.0.1:${vncPort}\n` },
  };
}

/** The reference that makes the Secret the owner of claim and pod. `secretUid` is the uid the cluster gave it. */
export function ownerReference(session: Identity, secretUid: string): V1OwnerReference {
  return {
    apiVersion: "v1",
    kind: "Secret",
    name: objectName(session.id),
    uid: secretUid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** The workspace. */
export function claimFor(session: Identity, tenant: Tenant, owner: V1OwnerReference): V1PersistentVolumeClaim {
  const { size, storageClass } = tenant.workspace;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: metadata(session, owner),
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: size } },
      ...(storageClass !== null && { storageClassName: storageClass }),
    },
  };
}

/** The pod: the agent with its desktop, and vnc-proxy that brings the desktop's VNC to a WebSocket. */
export function podFor(
  session: Identity & Pick<Session, "tier">,
  tenant: Tenant,
  owner: V1OwnerReference,
  image: string,
): V1Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: metadata(session, owner),
    spec: {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 30,
      serviceAccountName: tenant.serviceAccount,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      ...(tenant.runtimeClassName !== null && { runtimeClassName: tenant.runtimeClassName }),
      securityContext: {
        runAsNonRoot: true,
        runAsUser: uid,
        runAsGroup: uid,
        fsGroup: uid,
        fsGroupChangePolicy: "OnRootMismatch",
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [agent(session, image), vncProxy(image)],
      volumes: [
        { name: "workspace", persistentVolumeClaim: { claimName: objectName(session.id) } },
        { name: "tmp", emptyDir: { sizeLimit: "1Gi" } },
        { name: "shm", emptyDir: { medium: "Memory", sizeLimit: "256Mi" } },
        { name: "proxy-tmp", emptyDir: { sizeLimit: "16Mi" } },
        { name: "tokens", secret: { secretName: objectName(session.id), defaultMode: 0o440 } },
      ],
    },
  };
}

const confined = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

function agent(session: Pick<Session, "tier">, image: string): V1Container {
  return {
    name: "agent",
    image,
    envFrom: [{ configMapRef: { name: "agent-config" } }],
    resources: { requests: { cpu: "500m", memory: "1Gi" }, limits: { ...tiers[session.tier] } },
    securityContext: confined,
    startupProbe: startsWith("berth-desktop-ready"),
    volumeMounts: [
      { name: "workspace", mountPath: "/home/agent/workspace" },
      { name: "tmp", mountPath: "/tmp" },
      { name: "shm", mountPath: "/dev/shm" },
    ],
  };
}

function vncProxy(image: string): V1Container {
  return {
    name: "vnc-proxy",
    image,
    command: ["berth-vnc-proxy"],
    ports: [{ name: "vnc", containerPort: desktopPort }],
    resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { cpu: "500m", memory: "256Mi" } },
    securityContext: confined,
    startupProbe: startsWith("grep", "-q", listening(desktopPort), "/proc/net/tcp"),
    volumeMounts: [
      { name: "proxy-tmp", mountPath: "/tmp" },
      // One file rather than the folder: websockify would read every entry of a folder, Kubernetes' symlinks too.
      { name: "tokens", mountPath: "/etc/berth/tokens", subPath: "tokens", readOnly: true },
    ],
  };
}

/** Asks every second. The session's start deadline decides when it has been too long; this only has to be longer. */
const startsWith = (...command: string[]) => ({
  exec: { command },
  periodSeconds: 1,
  timeoutSeconds: 5,
  failureThreshold: 3600,
});

/** A line of /proc/net/tcp, where 0A is "listening": asked there, no network policy has to let the kubelet in. */
const listening = (port: number) => `:${port.toString(16).toUpperCase().padStart(4, "0")} 00000000:0000 0A`;
