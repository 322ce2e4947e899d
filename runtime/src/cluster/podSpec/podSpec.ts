/**
 * The manifests of a session's objects, computed from session, tenant and config. Pure: no I/O.
 *
 * The Secret owns the volume claim and the pod, so deleting the Secret deletes all three.
 */
import type {
  V1Container,
  V1OwnerReference,
  V1PersistentVolumeClaim,
  V1Pod,
  V1PodSpec,
  V1Secret,
  V1Toleration,
} from "@kubernetes/client-node";
import { agentResources, copyResources, ephemeralLimit, proxyResources } from "../../domain/quota/quantities.ts";
import type { Session } from "../../domain/session.ts";
import type { BerthdVolume, SessionImage } from "../../domain/sessionImages.ts";
import type { Tenant } from "../../domain/tenants.ts";
import { labels, objectName } from "../names.ts";

/** The port of vnc-proxy (WebSocket) in the pod. */
export const desktopPort = 6080;
/** The port at which berthd serves the session's metrics. */
const metricsPort = 6081;
const vncPort = 5900;
const uid = 10001;
const workspaceDir = "/home/agent/workspace";
/** The folder in which a container finds berthd if its image does not contain berthd. */
const berthdDir = "/opt/berth/bin";
const berthdVolumeName = "berthd";

type Identity = Pick<Session, "id" | "tenant" | "namespace">;

const metadata = (session: Identity, owner?: V1OwnerReference) => ({
  name: objectName(session.id),
  namespace: session.namespace,
  labels: labels(session),
  ...(owner && { ownerReferences: [owner] }),
});

/**
 * Annotations that stop node autoscalers (Cluster Autoscaler, Karpenter) from removing the pod's node to save cost, because the
 * session would end. A drain of the node still ends the session or moves it, see `onDrain`.
 */
const staysOnNode = {
  "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
  "karpenter.sh/do-not-disrupt": "true",
};

/** The two tokens of a session's pod: one for the desktop, one for calls between the agent container and the platform. */
export interface SessionTokens {
  /** The gateway shows this token to vnc-proxy, which then connects the gateway to the VNC server. */
  proxy: string;
  /**
   * The agent container uses this token to call the API as the session. The platform uses the same token to call berthd in
   * the agent container.
   */
  session: string;
}

/** The Secret owns the other objects and contains the two tokens. Each container gets only its own token, as a file. */
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

/**
 * The reference that makes the Secret the owner of the volume claim and the pod. `secretUid` is the Secret's UID in the
 * cluster.
 */
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

/** The volume claim of a persistent workspace. */
export function volumeClaimFor(session: Identity, tenant: Tenant, owner: V1OwnerReference): V1PersistentVolumeClaim {
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
  /** The image of the agent container. */
  image: Pick<SessionImage, "reference" | "hasBerthd" | "writableRoot">;
  /** The image that contains only berthd. */
  berthd: string;
  berthdVolume: BerthdVolume;
  /** The URL of the in-pod channel. */
  sessionUrl: string;
}

/**
 * The pod: the agent container, and vnc-proxy if the session has a desktop. vnc-proxy accepts WebSockets and connects them to
 * the desktop's VNC server. vnc-proxy is a native sidecar, that is, an init container that keeps running. If vnc-proxy exits,
 * the kubelet restarts only vnc-proxy. When the pod ends, the kubelet ends vnc-proxy after the agent container.
 *
 * PID 1 of the agent container is berthd, whatever the image's entry point is. If the image does not contain berthd, the
 * agent container gets berthd in a read-only volume: either berthd's image, or a folder into which an init container
 * copies berthd.
 */
export function podFor(
  session: Identity & Pick<Session, "tier" | "desktop" | "workspaceMode">,
  tenant: Tenant,
  owner: V1OwnerReference,
  { image, berthd, berthdVolume, sessionUrl }: PodContent,
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
        ...staysOnNode,
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
      ...placed(tenant.placement),
      securityContext: {
        runAsNonRoot: true,
        runAsUser: uid,
        runAsGroup: uid,
        fsGroup: uid,
        fsGroupChangePolicy: "OnRootMismatch",
        seccompProfile: { type: "RuntimeDefault" },
      },
      initContainers: [
        ...(image.hasBerthd || berthdVolume === "image" ? [] : [copyOfBerthd(berthd)]),
        ...(session.desktop ? [vncProxy(berthd)] : []),
      ],
      containers: [agent(session, tenant, image, sessionUrl)],
      volumes: [
        { name: "workspace", ...workspace },
        { name: "tmp", emptyDir: { sizeLimit: "1Gi" } },
        { name: "shm", emptyDir: { medium: "Memory", sizeLimit: "256Mi" } },
        ...(session.desktop ? [{ name: "tokens", ...secret("tokens", "tokens") }] : []),
        { name: "session", ...secret("session-token", "token") },
        ...(image.hasBerthd ? [] : [{ name: berthdVolumeName, ...volumeOfBerthd(berthd, berthdVolume) }]),
      ],
    },
  };
}

/** The fields of the pod's spec that select its nodes. */
const placed = ({ nodeSelector, tolerations, affinity }: Tenant["placement"]): Partial<V1PodSpec> => ({
  ...(Object.keys(nodeSelector).length > 0 && { nodeSelector }),
  ...(tolerations.length > 0 && { tolerations: tolerations as V1Toleration[] }),
  ...(affinity !== null && { affinity }),
});

const confined = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

function agent(
  session: Pick<Session, "id" | "tier" | "desktop" | "workspaceMode">,
  tenant: Tenant,
  image: PodContent["image"],
  sessionUrl: string,
): V1Container {
  const berthd = image.hasBerthd ? "berthd" : `${berthdDir}/berthd`;
  return {
    name: "agent",
    image: image.reference,
    command: [berthd, "session"],
    // Programs start in the workspace, because the pod's Linux user may have no permission to enter the working directory of
    // the image.
    workingDir: workspaceDir,
    envFrom: [{ configMapRef: { name: "agent-config" } }],
    env: [
      { name: "BERTH_SESSION_ID", value: session.id },
      { name: "BERTH_URL", value: sessionUrl },
      { name: "BERTH_DESKTOP", value: session.desktop ? "yes" : "no" },
    ],
    ports: [{ name: "metrics", containerPort: metricsPort }],
    resources: resourcesOf(session, tenant),
    securityContext: { ...confined, readOnlyRootFilesystem: !image.writableRoot },
    // This probe also checks vnc-proxy. A startup probe of vnc-proxy would delay the start of the agent container.
    startupProbe: startsWith(berthd, "ready", ...(session.desktop ? [String(desktopPort)] : [])),
    volumeMounts: [
      { name: "workspace", mountPath: workspaceDir },
      { name: "tmp", mountPath: "/tmp" },
      { name: "shm", mountPath: "/dev/shm" },
      { name: "session", mountPath: "/etc/berth/session", readOnly: true },
      ...(image.hasBerthd ? [] : [{ name: berthdVolumeName, mountPath: berthdDir, readOnly: true }]),
    ],
  };
}

function resourcesOf({ tier, workspaceMode }: Pick<Session, "tier" | "workspaceMode">, tenant: Tenant) {
  const { requests, limits } = agentResources(tier);
  if (workspaceMode === "persistent") return { requests, limits };
  return {
    // Without this value, Kubernetes reserves as much of the node's disk as the limit. Other sessions get this value from
    // the LimitRange.
    requests: { ...requests, "ephemeral-storage": "64Mi" },
    limits: { ...limits, "ephemeral-storage": ephemeralLimit(tenant) },
  };
}

const volumeOfBerthd = (image: string, volume: BerthdVolume) =>
  volume === "image" ? { image: { reference: image } } : { emptyDir: { sizeLimit: "32Mi" } };

/** Whether the pod has the volume with berthd. */
export const hasBerthdVolume = ({ spec }: V1Pod): boolean =>
  spec?.volumes?.some(({ name }) => name === berthdVolumeName) ?? false;

function copyOfBerthd(image: string): V1Container {
  return {
    name: "copy-berthd",
    image,
    command: ["/berthd", "copy", berthdDir],
    resources: copyResources,
    securityContext: confined,
    volumeMounts: [{ name: berthdVolumeName, mountPath: berthdDir }],
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
 * A startup probe that runs a program in the container, so that no network policy has to admit the kubelet. The program
 * waits up to 3 seconds until the session is ready, so the kubelet learns without delay that the session is ready. The
 * session's start deadline ends a start that takes too long, so the probe's own limit only has to be longer.
 */
const startsWith = (...command: string[]) => ({
  exec: { command },
  periodSeconds: 1,
  timeoutSeconds: 5,
  failureThreshold: 3600,
});
