import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { Autoscaler } from "../config/platform.ts";
import type { ResourcesConfig } from "../config/resources.ts";
import { replicas } from "../kubernetes/autoscaler.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import { type ConfinedContainer, type ConfinedPodArgs, confinedPod, type PodTemplate, tmp } from "../kubernetes/pod.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";
import { type RuntimeSettings, secretsDir, tenantsDir } from "./settings.ts";

export type Role = "api" | "gateway" | "worker" | "migrate" | "cleanup";

/** The arguments of every component that runs the runtime image. */
export interface RuntimeArgs {
  platform: PlatformContext;
  /** The runtime image by digest. */
  image: pulumi.Input<string>;
  /** The settings of the pods: environment variables and files. */
  settings: RuntimeSettings;
}

/** The parts of the pod that differ between roles. */
export interface RolePod
  extends Pick<ConfinedPodArgs, "account" | "withToken" | "distribution" | "gracePeriodSeconds" | "restartPolicy">,
    Pick<ConfinedContainer, "lifecycle" | "probes"> {
  /** Default: the requests and limits of a Job. */
  resources?: ResourcesConfig;
  /** Ports by name, for roles that serve HTTP. The port `http` also serves metrics. */
  ports?: Record<string, number>;
}

/** The uid of the user `nonroot` in the distroless images. */
const uid = 65532;

/** Requests and limits for roles that run to completion. */
const jobResources: ResourcesConfig = {
  requests: { cpu: "50m", memory: "128Mi" },
  limits: { cpu: "1", memory: "512Mi" },
};

const probe = (path: string) => ({ httpGet: { path: `/health/${path}`, port: "http" }, timeoutSeconds: 3 });

/**
 * The probes for roles that serve HTTP. The liveness probe checks only the process. The readiness probe fails if Postgres, or
 * in the worker Redis, does not answer. The startup probe succeeds once Postgres has answered and has the tables of this
 * version. A pod has five minutes to start, because it must wait until Postgres answers, and the volume of Postgres may first
 * have to move to another node.
 */
export const probes = (readinessFailures = 2) => ({
  startup: { ...probe("startup"), periodSeconds: 1, failureThreshold: 300 },
  live: { ...probe("live"), periodSeconds: 10, failureThreshold: 3 },
  ready: { ...probe("ready"), periodSeconds: 3, failureThreshold: readinessFailures },
});

/** The pod of the runtime image in the given role. The files of the settings are mounted; only /tmp is writable. */
export function runtimePod(
  role: Role,
  { platform, image, settings }: RuntimeArgs,
  { resources = jobResources, ports, lifecycle, probes, ...pod }: RolePod,
): PodTemplate {
  const file = (name: string, path: string, volume: Omit<k8s.types.input.core.v1.Volume, "name">) => ({
    name,
    path,
    readOnly: true,
    volume,
  });
  return confinedPod({
    component: role,
    defaults: platform.pods,
    uid,
    ...pod,
    metricsPort: ports?.http,
    containers: [
      {
        name: role,
        image,
        args: ["dist/main.js", role],
        envFrom: [{ configMapRef: { name: settings.config } }],
        ...(settings.secretVariables.length > 0 && { env: settings.secretVariables }),
        ...(ports && { ports: Object.entries(ports).map(([name, containerPort]) => ({ name, containerPort })) }),
        ...(lifecycle && { lifecycle }),
        resources,
        probes,
      },
    ],
    mounts: [
      file("secrets", secretsDir, { projected: { sources: settings.secretFiles, defaultMode: 0o440 } }),
      file("tenants", tenantsDir, { secret: { secretName: settings.tenants, defaultMode: 0o440 } }),
      tmp("64Mi"),
    ],
  });
}

/** The arguments of a role that runs as a Deployment. */
export interface DeploymentArgs extends RuntimeArgs {
  resources: ResourcesConfig;
  autoscaler: Autoscaler;
  autoscaling: Parameters<typeof replicas>[1];
}

/** The Deployment of a role. Its pods run on different nodes if possible. A rollout never reduces the number of ready pods. */
export function runtimeDeployment(
  name: string,
  role: "api" | "gateway" | "worker",
  args: DeploymentArgs,
  pod: Omit<RolePod, "resources" | "distribution">,
  opts: pulumi.CustomResourceOptions,
): k8s.apps.v1.Deployment {
  const { platform, resources, autoscaler, autoscaling } = args;
  return new k8s.apps.v1.Deployment(
    name,
    {
      metadata: { name, namespace: platform.namespace, labels: labels(role) },
      spec: {
        ...replicas(autoscaler, autoscaling),
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        selector: { matchLabels: selector(role) },
        template: runtimePod(role, args, { resources, distribution: "spread", ...pod }),
      },
    },
    { ...opts, ...rolloutTimeout(platform.rolloutSeconds) },
  );
}
