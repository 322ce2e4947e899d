/**
 * A session's objects in the cluster; pure functions of session, tenant and config.
 *
 * The Secret is the owner: the claim and the pod refer to it, so deleting it removes all.
 */
import type { V1Container, V1OwnerReference, V1PersistentVolumeClaim, V1Pod, V1Secret } from "@kubernetes/client-node";
import { agentResources, copyResources, proxyResources } from "../domain/quantities.ts";
import type { Session } from "../domain/session.ts";
import type { SessionImage } from "../domain/sessionImages.ts";
import type { Tenant } from "../domain/tenants.ts";
import { labels, objectName } from "./names.ts";

/** Port of vnc-proxy (WebSocket) in the pod. */
export const desktopPort = 6080;
/** Port at which berthd serves the session's own metrics. */
const metricsPort = 6081;
const vncPort = 5900;
const uid = 10001;
const workspaceDir = "/home/agent/workspace";
/** Where berthd is in a pod whose image does not have it. */
const berthdDir = "/opt/berth/bin";

type Identity = Pick<Session, "id" | "tenant" | "namespace">;

const metadata = (session: Identity, owner?: V1OwnerReference) => ({
  name: objectName(session.id),
  namespace: session.namespace,
  labels: labels(session),
  ...(owner && { ownerReferences: [owner] }),
});

/** What proves who is who: the API to the session's desktop, and the session to the API. */
export interface SessionTokens {
  /** Lets its bearer through vnc-proxy to the VNC server. */
  proxy: string;
  /** Lets the agent container speak for its session. */
  session: string;
}

/** The owner. It holds the session's two tokens, one as the VNC proxy's file; each container sees its own only. */
export function secretFor(session: Identity, tokens: SessionTokens): V1Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: metadata(session),
    type: "Opaque",
    immutable: true,
    stringData: { tokens: `${tokens.proxy}: 127.0.0.1:${vncPort}\n`, "session-token": tokens.session },
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

/** The workspace that outlives the pod. */
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

export interface PodContent {
  /** The agent's. */
  image: Pick<SessionImage, "reference" | "hasBerthd" | "writableRoot">;
  /** Image of berthd alone. */
  berthd: string;
  /** Where the pod finds the in-pod channel. */
  sessionUrl: string;
}

/**
 * The pod: the agent, and with a desktop vnc-proxy, which brings the desktop's VNC to a WebSocket. vnc-proxy is a native
 * sidecar, an init container that runs on: the kubelet restarts it alone when it ends, and it ends after the agent.
 *
 * PID 1 of the agent's container is berthd, whatever the image's entry point is. Where the image does not have berthd, an
 * init container copies it into a volume, which the agent's container can only read.
 */
export function podFor(
  session: Identity & Pick<Session, "tier" | "desktop" | "workspaceMode">,
  tenant: Tenant,
  owner: V1OwnerReference,
  { image, berthd, sessionUrl }: PodContent,
): V1Pod {
  const secret = (key: string, path: string) => ({
    secret: { secretName: objectName(session.id), defaultMode: 0o440, items: [{ key, path }] },
  });
  const workspace =
    session.workspaceMode === "persistent"
      ? { persistentVolumeClaim: { claimName: objectName(session.id) } }
      : { emptyDir: { sizeLimit: tenant.workspace.size } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...metadata(session, owner),
      annotations: {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": String(metricsPort),
        "prometheus.io/path": "/metrics",
      },
    },
    spec: {
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 30,
      serviceAccountName: tenant.serviceAccount,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      ...(tenant.runtimeClassName !== null && { runtimeClassName: tenant.runtimeClassName }),
      ...(tenant.priorityClassName !== null && { priorityClassName: tenant.priorityClassName }),
      securityContext: {
        runAsNonRoot: true,
        runAsUser: uid,
        runAsGroup: uid,
        fsGroup: uid,
        fsGroupChangePolicy: "OnRootMismatch",
        seccompProfile: { type: "RuntimeDefault" },
      },
      initContainers: [
        ...(image.hasBerthd ? [] : [copyOfBerthd(berthd)]),
        ...(session.desktop ? [vncProxy(berthd)] : []),
      ],
      containers: [agent(session, image, sessionUrl)],
      volumes: [
        { name: "workspace", ...workspace },
        { name: "tmp", emptyDir: { sizeLimit: "1Gi" } },
        { name: "shm", emptyDir: { medium: "Memory", sizeLimit: "256Mi" } },
        ...(session.desktop ? [{ name: "tokens", ...secret("tokens", "tokens") }] : []),
        { name: "session", ...secret("session-token", "token") },
        ...(image.hasBerthd ? [] : [{ name: "berthd", emptyDir: { sizeLimit: "32Mi" } }]),
      ],
    },
  };
}

const confined = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

function agent(
  session: Pick<Session, "id" | "tier" | "desktop">,
  image: PodContent["image"],
  sessionUrl: string,
): V1Container {
  const berthd = image.hasBerthd ? "berthd" : `${berthdDir}/berthd`;
  return {
    name: "agent",
    image: image.reference,
    command: [berthd, "session"],
    // Programs start here, and not in the image's own, which may be a folder that this user can't enter.
    workingDir: workspaceDir,
    envFrom: [{ configMapRef: { name: "agent-config" } }],
    env: [
      { name: "BERTH_SESSION_ID", value: session.id },
      { name: "BERTH_URL", value: sessionUrl },
      { name: "BERTH_DESKTOP", value: session.desktop ? "yes" : "no" },
    ],
    ports: [{ name: "metrics", containerPort: metricsPort }],
    resources: agentResources(session.tier),
    securityContext: { ...confined, readOnlyRootFilesystem: !image.writableRoot },
    // vnc-proxy too: its own startup probe would keep the agent's container back until it has succeeded.
    startupProbe: startsWith(berthd, "ready", ...(session.desktop ? [String(desktopPort)] : [])),
    volumeMounts: [
      { name: "workspace", mountPath: workspaceDir },
      { name: "tmp", mountPath: "/tmp" },
      { name: "shm", mountPath: "/dev/shm" },
      { name: "session", mountPath: "/etc/berth/session", readOnly: true },
      ...(image.hasBerthd ? [] : [{ name: "berthd", mountPath: berthdDir, readOnly: true }]),
    ],
  };
}

function copyOfBerthd(image: string): V1Container {
  return {
    name: "copy-berthd",
    image,
    command: ["/berthd", "copy", berthdDir],
    resources: copyResources,
    securityContext: confined,
    volumeMounts: [{ name: "berthd", mountPath: berthdDir }],
  };
}

function vncProxy(image: string): V1Container {
  return {
    name: "vnc-proxy",
    image,
    restartPolicy: "Always",
    command: ["/berthd", "vnc-proxy"],
    ports: [{ name: "vnc", containerPort: desktopPort }],
    resources: proxyResources,
    securityContext: confined,
    volumeMounts: [{ name: "tokens", mountPath: "/etc/berth/tokens", subPath: "tokens", readOnly: true }],
  };
}

/**
 * Asks every second, by a program in the container, so that no network policy has to let the kubelet in. The session's
 * start deadline decides when it has been too long; this only has to be longer.
 */
const startsWith = (...command: string[]) => ({
  exec: { command },
  periodSeconds: 1,
  timeoutSeconds: 5,
  failureThreshold: 3600,
});
