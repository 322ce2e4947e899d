/**
 * The template of every pod of the platform. The pod meets Pod Security's level `restricted` and has limits for CPU, memory and
 * disk.
 */
import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { Placement } from "../config/placement.ts";
import type { ResourcesConfig } from "../config/resources.ts";
import { type Component, labels, selector } from "./labels.ts";
import { placed } from "./placement.ts";
import { staysOnNode } from "./protect.ts";
import { scaledRequests } from "./request-scale.ts";
import type { ScannedImages } from "./scanned-images.ts";
import { containerSecurity, podSecurity } from "./security.ts";

type KubernetesContainer = types.input.core.v1.Container;
type Probe = types.input.core.v1.Probe;

/** Settings that many pods share. The stores and the image pullers may run on other nodes, so they have separate settings. */
export interface PodDefaults {
  priorityClassName: string;
  /** The names of the pull secrets. These Secrets are in the pod's namespace. */
  imagePullSecrets: string[];
  /** A factor for the requests of each container, for example 0.1. */
  requestScale: number;
  /** The nodes on which the pods may run. */
  placement: Placement;
  /** The list that gets the image of each container. */
  scannedImages: ScannedImages;
}

/** A volume, and the path at which every container of the pod mounts it. */
export interface Mount {
  name: string;
  /** The mount path. */
  path: string;
  /** The only file of the volume to mount. Default: the whole volume. */
  subPath?: string;
  readOnly?: boolean;
  volume: Omit<types.input.core.v1.Volume, "name">;
}

/** The probes that tell whether the container has started, is ready for requests, and is alive. */
export interface Probes {
  startup: Probe;
  ready: Probe;
  live: Probe;
}

export interface ConfinedContainer
  extends Pick<
    KubernetesContainer,
    "name" | "command" | "args" | "workingDir" | "env" | "envFrom" | "ports" | "lifecycle"
  > {
  image: pulumi.Input<string>;
  /** The container's requests and limits for CPU and memory. */
  resources: ResourcesConfig;
  /**
   * Space on the node's disk, for the logs and for volumes on that disk (emptyDir, for example /tmp). The kubelet ends a pod that
   * uses more than the limits of its containers, so that the pod can't fill the node's disk.
   */
  scratch?: { request?: string; limit?: string } | undefined;
  /** Default: no probes, for a container that ends by itself or serves no requests. */
  probes?: Probes | undefined;
}

export interface ConfinedPodArgs {
  component: Component;
  /** The settings that the pod shares with other pods. */
  defaults: PodDefaults;
  /** The user and group of the pod's processes, and the group that owns the pod's volumes. */
  uid: number;
  containers: ConfinedContainer[];
  /** Init containers, which run before `containers`. */
  initContainers?: ConfinedContainer[];
  mounts?: Mount[];
  /** The ServiceAccount of the pod. Default: the namespace's account `default`, and the pod gets no token. */
  account?: pulumi.Input<string> | undefined;
  /**
   * Whether the pod gets the token of `account`. Default true. To take the token from an existing Deployment, set this to false.
   * It is not enough to remove `account`, because Kubernetes also keeps the account's name in a second field.
   */
  withToken?: boolean;
  /**
   * `spread`: the pod runs on another node than other pods of the component, if possible. `stays`: for the only pod of a
   * component; the pod gets annotations that stop node autoscalers from removing its node. Default: neither.
   */
  distribution?: "spread" | "stays" | undefined;
  /** The port with the pod's metrics. A container must declare the port. */
  metricsPort?: number | undefined;
  /** The pod's RuntimeClass. Default: the default runtime of the cluster. */
  runtimeClassName?: string | null;
  /** The seconds between SIGTERM and SIGKILL when the pod is stopped. */
  gracePeriodSeconds?: number | undefined;
  restartPolicy?: "Never" | undefined;
}

/** The template of a pod. */
export interface PodTemplate {
  metadata: types.input.meta.v1.ObjectMeta;
  spec: types.input.core.v1.PodSpec;
}

/** A volume at /tmp for temporary files. @param size for example 64Mi */
export const tmp = (size: string): Mount => ({
  name: "tmp",
  path: "/tmp",
  volume: { emptyDir: { sizeLimit: size } },
});

/**
 * Makes the template of a pod that can write only to its volumes and has only the permissions of its ServiceAccount. Adds the
 * images of the containers to the list of images to scan.
 */
export function confinedPod(args: ConfinedPodArgs): PodTemplate {
  const { component, defaults, mounts = [], initContainers = [], account, withToken = true, distribution } = args;
  const container = (one: ConfinedContainer) => confined(one, mounts, defaults.requestScale);
  for (const { image } of [...initContainers, ...args.containers]) defaults.scannedImages.add(image);
  const annotations = {
    ...(args.metricsPort !== undefined && scraped(args.metricsPort)),
    ...(distribution === "stays" && staysOnNode),
  };
  return {
    metadata: { labels: labels(component), ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: {
      ...(account !== undefined && { serviceAccountName: account }),
      automountServiceAccountToken: account !== undefined && withToken,
      enableServiceLinks: false,
      ...(args.runtimeClassName != null && { runtimeClassName: args.runtimeClassName }),
      priorityClassName: defaults.priorityClassName,
      ...(defaults.imagePullSecrets.length > 0 && {
        imagePullSecrets: defaults.imagePullSecrets.map((name) => ({ name })),
      }),
      securityContext: podSecurity(args.uid),
      ...placed(defaults.placement, distribution === "spread" ? selector(component) : undefined),
      ...(args.restartPolicy && { restartPolicy: args.restartPolicy }),
      ...(args.gracePeriodSeconds !== undefined && { terminationGracePeriodSeconds: args.gracePeriodSeconds }),
      ...(initContainers.length > 0 && { initContainers: initContainers.map(container) }),
      containers: args.containers.map(container),
      ...(mounts.length > 0 && { volumes: mounts.map(({ name, volume }) => ({ name, ...volume })) }),
    },
  };
}

function confined(
  { resources, scratch, probes, ...container }: ConfinedContainer,
  mounts: Mount[],
  requestScale: number,
): KubernetesContainer {
  const { request = "64Mi", limit = "256Mi" } = scratch ?? {};
  return {
    ...container,
    resources: {
      requests: scaledRequests({ ...resources.requests, "ephemeral-storage": request }, requestScale),
      limits: { ...resources.limits, "ephemeral-storage": limit },
    },
    securityContext: containerSecurity,
    ...(probes && { startupProbe: probes.startup, readinessProbe: probes.ready, livenessProbe: probes.live }),
    ...(mounts.length > 0 && {
      volumeMounts: mounts.map(({ volume, path, ...mount }) => ({ ...mount, mountPath: path })),
    }),
  };
}

/** The annotations that tell Prometheus where to read a pod's metrics. */
const scraped = (port: number) => ({
  "prometheus.io/scrape": "true",
  "prometheus.io/port": String(port),
  "prometheus.io/path": "/metrics",
});
