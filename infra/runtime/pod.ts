import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { ResourcesConfig } from "../config/resources.ts";
import { labels } from "../kubernetes/labels.ts";
import { withScratch } from "../kubernetes/scratch.ts";
import { containerSecurity, podSecurity } from "../kubernetes/security.ts";
import { scraped } from "../monitoring/scraped.ts";
import { type RuntimeSettings, secretsDir, tenantsDir } from "./settings.ts";

export type Role = "api" | "worker" | "migrate" | "cleanup";

/** What every component that runs the runtime image needs. */
export interface RuntimeArgs {
  /** The platform's namespace. */
  namespace: pulumi.Input<string>;
  /** The runtime image by digest. */
  image: pulumi.Input<string>;
  /** What its pods are told: environment and files. */
  settings: RuntimeSettings;
}

/** The user `nonroot` of the distroless images. */
const uid = 65532;

/** For the roles that work through something once and end. */
const jobResources: ResourcesConfig = {
  requests: { cpu: "50m", memory: "128Mi" },
  limits: { cpu: "1", memory: "512Mi" },
};

const probe = (path: string) => ({ httpGet: { path: `/health/${path}`, port: "http" }, timeoutSeconds: 3 });

/** For roles that serve HTTP. Liveness looks at the process only; readiness asks Postgres and Redis. */
export const probes = (readinessFailures = 2) => ({
  startupProbe: { ...probe("startup"), periodSeconds: 1, failureThreshold: 120 },
  livenessProbe: { ...probe("live"), periodSeconds: 10, failureThreshold: 3 },
  readinessProbe: { ...probe("ready"), periodSeconds: 3, failureThreshold: readinessFailures },
});

/** The one image in the given role, with its settings mounted and nothing writable but /tmp. */
export function runtimePod(
  role: Role,
  args: Pick<RuntimeArgs, "image" | "settings"> & {
    /** Default: what a job needs. */
    resources?: ResourcesConfig;
    /** Added to the container, for example ports and probes. */
    container: Partial<types.input.core.v1.Container>;
    /** Added to the pod. */
    pod?: Partial<types.input.core.v1.PodSpec>;
  },
): { metadata: types.input.meta.v1.ObjectMeta; spec: types.input.core.v1.PodSpec } {
  return {
    // What serves HTTP has metrics at the same port.
    metadata: { labels: labels(role), ...(args.container.ports ? { annotations: scraped(3000) } : {}) },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: podSecurity(uid),
      ...args.pod,
      containers: [
        {
          name: role,
          image: args.image,
          args: ["dist/main.js", role],
          envFrom: [{ configMapRef: { name: args.settings.config } }],
          ...(args.settings.secretVariables.length > 0 && { env: args.settings.secretVariables }),
          resources: withScratch(args.resources ?? jobResources),
          securityContext: containerSecurity,
          volumeMounts: [
            { name: "secrets", mountPath: secretsDir, readOnly: true },
            { name: "tenants", mountPath: tenantsDir, readOnly: true },
            { name: "tmp", mountPath: "/tmp" },
          ],
          ...args.container,
        },
      ],
      volumes: [
        { name: "secrets", projected: { sources: args.settings.secretFiles, defaultMode: 0o440 } },
        { name: "tenants", secret: { secretName: args.settings.tenants, defaultMode: 0o440 } },
        { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
      ],
    },
  };
}
