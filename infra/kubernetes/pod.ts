/** The skeleton of every pod of the platform: confined as Pod Security's `restricted` asks, and with bounds on all it uses. */
import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { ResourcesConfig } from "../config/resources.ts";
import { type Component, labels, selector } from "./labels.ts";
import { staysOnNode } from "./protect.ts";
import { scaledRequests } from "./request-scale.ts";
import { containerSecurity, podSecurity } from "./security.ts";
import { spread } from "./spread.ts";

type KubernetesContainer = types.input.core.v1.Container;
type Probe = types.input.core.v1.Probe;

/** What all pods of the platform have in common, whichever component makes them. */
export interface PodDefaults {
  priorityClassName: string;
  /** Secrets of the namespace with which images are pulled. */
  imagePullSecrets: string[];
  /** Multiplies what each container requests, for example 0.1. */
  requestScale: number;
}

/** A volume, and where every container of the pod finds it. */
export interface Mount {
  name: string;
  /** Where it is mounted. */
  path: string;
  /** The one file of the volume that is mounted. Default: the whole volume. */
  subPath?: string;
  readOnly?: boolean;
  volume: Omit<types.input.core.v1.Volume, "name">;
}

/** When the container has started, when it can be asked, and when it must be restarted. */
export interface Probes {
  startup: Probe;
  ready: Probe;
  live: Probe;
}

export interface ConfinedContainer
  extends Pick<KubernetesContainer, "name" | "image" | "command" | "args" | "env" | "envFrom" | "ports" | "lifecycle"> {
  /** CPU and memory. */
  resources: ResourcesConfig;
  /**
   * What it writes outside of its volumes: /tmp and logs. The kubelet ends a pod that writes more than the limit, before
   * it fills the node's disk.
   */
  scratch?: { request?: string; limit?: string } | undefined;
  /** Default: none, for what ends by itself or answers nobody. */
  probes?: Probes | undefined;
}

export interface ConfinedPodArgs {
  component: Component;
  /** Of the platform. */
  defaults: PodDefaults;
  /** The user and group that its processes have, and that own its volumes. */
  uid: number;
  containers: ConfinedContainer[];
  /** Containers that run before those. */
  initContainers?: ConfinedContainer[];
  mounts?: Mount[];
  /** The ServiceAccount whose token it gets. Default: it gets none. */
  account?: pulumi.Input<string> | undefined;
  /**
   * Whether it gets the account's token. Default true. A Deployment that has an account can't give it up: Kubernetes keeps the
   * name in a second field, from which it comes back.
   */
  withToken?: boolean;
  /**
   * `spread`: away from other pods of the component. `stays`: the only one of its kind, for which the node is kept.
   * Default: wherever there is room.
   */
  placement?: "spread" | "stays" | undefined;
  /** Where Prometheus reads its metrics; a container must declare the port. */
  metricsPort?: number | undefined;
  /** Seconds from SIGTERM to SIGKILL. */
  gracePeriodSeconds?: number | undefined;
  restartPolicy?: "Never" | undefined;
}

/** A pod's template. */
export interface PodTemplate {
  metadata: types.input.meta.v1.ObjectMeta;
  spec: types.input.core.v1.PodSpec;
}

/** Room for temporary files, at /tmp. @param size for example 64Mi */
export const tmp = (size: string): Mount => ({
  name: "tmp",
  path: "/tmp",
  volume: { emptyDir: { sizeLimit: size } },
});

/** The template of a pod that can write to its volumes only, and has no right but those of its account. */
export function confinedPod(args: ConfinedPodArgs): PodTemplate {
  const { component, defaults, mounts = [], initContainers = [], account, withToken = true, placement } = args;
  const container = (one: ConfinedContainer) => confined(one, mounts, defaults.requestScale);
  const annotations = {
    ...(args.metricsPort !== undefined && scraped(args.metricsPort)),
    ...(placement === "stays" && staysOnNode),
  };
  return {
    metadata: { labels: labels(component), ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: {
      ...(account !== undefined && { serviceAccountName: account }),
      automountServiceAccountToken: account !== undefined && withToken,
      enableServiceLinks: false,
      priorityClassName: defaults.priorityClassName,
      ...(defaults.imagePullSecrets.length > 0 && {
        imagePullSecrets: defaults.imagePullSecrets.map((name) => ({ name })),
      }),
      securityContext: podSecurity(args.uid),
      ...(placement === "spread" && spread(selector(component))),
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

/** The annotations by which Prometheus finds a pod's metrics. */
const scraped = (port: number) => ({
  "prometheus.io/scrape": "true",
  "prometheus.io/port": String(port),
  "prometheus.io/path": "/metrics",
});
