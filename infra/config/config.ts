/**
 * The stack's config: the schema, its defaults, and the error messages for an invalid config. The other files of this folder
 * define the parts of the schema.
 */
import { z } from "zod";
import { clusterId, context, identified, kubeconfig } from "./cluster.ts";
import { connectable } from "./connections.ts";
import { egress, nodesStayClosed } from "./egress.ts";
import { faultsOf } from "./faults.ts";
import { imagePullSecrets, images, pushable, registry, registryLogins, registryPush } from "./images.ts";
import { ingress } from "./ingress.ts";
import { withInherited } from "./inherited.ts";
import { jsonFault } from "./json.ts";
import { adminKeys } from "./keys.ts";
import { adapter, grafana, measurable, prometheus } from "./monitoring.ts";
import { namespacesApart } from "./namespaces.ts";
import { network } from "./network.ts";
import { placement } from "./placement.ts";
import {
  api,
  autoscaler,
  gateway,
  keda,
  kubernetesApi,
  migrationTimeout,
  requestScale,
  rolloutTimeout,
  worker,
} from "./platform.ts";
import { ofSessionsOnly, priorityClasses } from "./priority-classes.ts";
import {
  limits,
  oidc,
  tokenKeySecret,
  tokenKeys,
  tracing,
  trustedCertificates,
  trustedProxies,
  webhooksToPrivateAddresses,
} from "./runtime.ts";
import { apart, sandboxUrl } from "./sandbox.ts";
import { name, subdomain, url } from "./scalars.ts";
import { postgres, protectData, redis } from "./stores.ts";
import { tenantPrefix, tenants } from "./tenant.ts";

const keys = z.strictObject({
  context: context
    .default("")
    .describe(
      "The kubeconfig context of the cluster that this stack is deployed to. Berth never changes another cluster. Empty only with `kubeconfig`: the current context of that kubeconfig.",
    ),
  kubeconfig: kubeconfig
    .default(null)
    .describe(
      "The content of a kubeconfig, set with `pulumi config set --secret`. The group of keys below: an output of the stack that made the cluster. Null: the kubeconfig of the user who runs Pulumi.",
    ),
  clusterId: clusterId
    .default(null)
    .describe(
      "The UID of the cluster's namespace kube-system. With this key, `up` refuses every other cluster before anything is changed, and the context may get another name. Null: only the context's name identifies the cluster.",
    ),
  registry: registry
    .default("")
    .describe(
      "The registry and path for the images that Berth builds, for push and pull, for example ghcr.io/acme/berth. Empty only if `images` names all images by digest.",
    ),
  baseRegistry: z
    .string()
    .regex(/^([a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*)?$/, {
      error: "is not a registry and path; write for example mirror:5000",
    })
    .default("")
    .describe(
      "A prefix for the names of base images, for example mirror.example.com for mirror.example.com/docker.io/library/node. Empty: base images come from their original registries.",
    ),
  registryLogins: registryLogins
    .default([])
    .describe(
      "Logins with read access to private registries. The image builds use them for base images, and the cluster uses them as the pull secret `registry-login` in every namespace of Berth. Docker on the machine that runs Pulumi uses its own logins too.",
    ),
  registryPush: registryPush
    .optional()
    .describe(
      "The login with write access to `registry`, for the push of Berth's images. This login is never stored in the cluster. Without this key, Docker's own login is used for the push, never one of `registryLogins`.",
    ),
  images: images
    .prefault({})
    .describe(
      "Berth's own images. By default Berth builds them from the checkout and pushes them to `registry`. If `api`, `agent` and `berthd` are all named by digest, an `up` needs neither Docker nor `registry`.",
    ),
  imagePullSecrets: imagePullSecrets
    .default([])
    .describe(
      "Names of pull secrets (kubernetes.io/dockerconfigjson) that you make yourself. Pods use them in addition to the pull secret that Berth makes from `registryLogins`. They must exist in the platform's namespace and in the namespace of every tenant.",
    ),
  prepullAgentImage: z
    .boolean()
    .default(true)
    .describe(
      "Whether every node pulls the sessions' images before a session needs them: the platform's desktop, and the `images` of each tenant. The DaemonSets `image-puller` do that, in the platform's namespace and in the namespace of each tenant that has `images`, a `placement` or a `runtimeClassName`.",
    ),
  namespace: name
    .default("berth")
    .describe(
      "The namespace of the platform. It is also the first part of the names of Berth's cluster-wide objects. Two stacks in one cluster need different namespaces; see docs/your-cluster.md#two-stacks-in-one-cluster. To change this key in a stack that exists would delete the stack's data, so Pulumi refuses the change, unless `protectData` is false.",
    ),
  tenantPrefix: tenantPrefix
    .default("tenant-")
    .describe(
      "The namespace of a tenant is this prefix and the tenant's name. No stack's prefix may be the beginning of another's.",
    ),
  publicUrl: url.describe("The address at which users reach the API, for example https://berth.example.com."),
  sandboxUrl: sandboxUrl
    .default(null)
    .describe(
      "The address under which users reach the ports of sessions (docs/ports.md). With a `*`, for example https://*.sandbox.example.org, each port gets its own host name, which needs wildcard DNS. Without a `*`, each port is a path of one host. The address must have another origin than `publicUrl` and, with a `*`, another registered domain than the API's hosts. Null: ports have no address.",
    ),
  adoptExisting: z
    .boolean()
    .default(false)
    .describe(
      "Take over objects of the same name that already exist in the cluster, unless they are another stack's. With true, the next `up` completes a first `up` that was interrupted.",
    ),
  platform: z
    .enum(["linux/amd64", "linux/arm64"], { error: "is neither linux/amd64 nor linux/arm64" })
    .default("linux/amd64")
    .describe("Operating system and architecture of the cluster's nodes, for which the images are built."),
  buildNetwork: z
    .enum(["default", "host"], { error: "is neither default nor host" })
    .default("default")
    .describe("The network of the image builds: default, or host if the Docker daemon has no bridge."),
  logLevel: z
    .enum(["trace", "debug", "info", "warn", "error"], { error: "is none of trace, debug, info, warn, error" })
    .default("info")
    .describe("Log level of API, gateway and worker: trace, debug, info, warn or error."),
  requestScale: requestScale
    .default(1)
    .describe(
      "A factor for the requests (CPU, memory and disk) of all pods except sessions' pods, for example 0.1, so that the platform fits a small cluster. The factor changes neither the limits nor the load at which the autoscalers act.",
    ),
  rolloutTimeout,
  migrationTimeout,
  placement: placement
    .prefault({})
    .describe(
      "The nodes on which pods run. Without these keys, pods run on every node that has the images' architecture.",
    ),
  priorityClasses: priorityClasses
    .prefault({})
    .describe("Which pods Kubernetes prefers when a node is full. PriorityClasses belong to the whole cluster."),
  storageClass: subdomain
    .nullable()
    .default(null)
    .describe(
      "The StorageClass of each volume whose own key `storageClass` is null: the volumes of the stores, the dumps, Prometheus and the tenants' workspaces. Null: the cluster's default StorageClass.",
    ),
  autoscaler: autoscaler
    .default("hpa")
    .describe(
      "What sets the number of pods of API, gateway and worker. hpa: Kubernetes' HorizontalPodAutoscaler with the stack's adapter. keda: the KEDA of the cluster. off: nothing; there are always `autoscaling.min` pods.",
    ),
  keda: keda.prefault({}).describe("Where the cluster's KEDA is, for `autoscaler: keda`."),
  api: api.prefault({}).describe("The HTTP API."),
  gateway: gateway
    .default("inside")
    .describe(
      "Which pods carry the traffic of desktops, commands, files and streams. `inside`: the API's pods. A group of the keys below, or `{}`: separate gateway pods, so that a rollout or restart of the API cuts no connection.",
    ),
  worker: worker.prefault({}).describe("The worker, which makes and removes the sessions' pods."),
  limits: limits
    .prefault({})
    .describe(
      "Limits of the API and the worker: requests, queued sessions, starts of sessions, and how long data is kept.",
    ),
  oidc: oidc
    .default(null)
    .describe(
      "The identity provider whose tokens the API accepts in addition to API keys. Null: the API accepts API keys only.",
    ),
  tracing: tracing
    .default(null)
    .describe("Where the API, the gateway and the worker send traces. Null: they send none."),
  egress: egress
    .default([])
    .describe(
      "The addresses and pods to which the API, the gateway and the worker may connect in addition to stores, sessions and Kubernetes: the OIDC issuer, the trace collector, the receivers of webhooks.",
    ),
  network: network
    .prefault({})
    .describe("What the network policies have to know about the cluster; see docs/network.md."),
  trustedProxies: trustedProxies.default([]),
  webhooksToPrivateAddresses: webhooksToPrivateAddresses.default(false),
  trustedCertificates: trustedCertificates.default(""),
  tokenKeySecret: tokenKeySecret.default(null),
  tokenKeys: tokenKeys.prefault({}).describe("The keys that sign sessions' tokens and links; see docs/secrets.md."),
  protectData,
  postgres: postgres.prefault({}).describe("The database, which is the source of truth about sessions."),
  redis: redis.prefault({}).describe("The queue. The runtime can rebuild the queue from the database."),
  ingress: ingress
    .default(null)
    .describe(
      "How users reach the API from outside the cluster. Null: you route requests to the Service `gateway` yourself.",
    ),
  prometheus: prometheus
    .prefault({})
    .describe("What Prometheus measures, and how long Prometheus keeps the measurements."),
  adapter: adapter.prefault({}).describe("The adapter, which gives Prometheus' measurements to the autoscalers."),
  grafana: grafana
    .nullable()
    .default(null)
    .describe("A Grafana with Berth's dashboard. Null: the stack has no Grafana; you may use your own."),
  kubernetesApi: kubernetesApi
    .default([])
    .describe(
      "Addresses of the Kubernetes API, as pods reach them, which the network policies open to the platform and close to sessions. `npm run init` writes them. Without them, `up` ends before it changes anything, and its message has the addresses of the cluster and the command that sets the key.",
    ),
  adminKeys: adminKeys.describe(
    "The admin's API keys, `berth_admin_…`, which may read the data of all tenants. The output `adminKey` is the first generated key.",
  ),
  tenants: tenants.default([]).describe("Who may start sessions: one entry per tenant."),
});

export const configSchema = keys.check(
  measurable,
  connectable,
  apart,
  pushable,
  identified,
  nodesStayClosed,
  namespacesApart,
  ofSessionsOnly,
);

/** The stack's config with all defaults. */
export type Config = z.output<typeof configSchema>;

/** A valid config, or the list of its faults with one line for each fault. */
export type ConfigResult = { config: Config; faults?: never } | { config?: never; faults: string[] };

/**
 * Checks a config against the schema.
 * @param values each key without `berth:`, with the text that Pulumi stores; the text is JSON unless the value is a string
 */
export function parseConfig(values: Record<string, string>): ConfigResult {
  const raw = Object.fromEntries(Object.entries(values).map(([key, text]) => [key, fromText(key, text)]));
  const result = configSchema.safeParse(raw);
  if (result.success) return { config: withInherited(result.data) };
  const broken = new Map(
    Object.entries(values).flatMap(([key, text]) => (raw[key] === text ? brokenJson(key, text) : [])),
  );
  const others = result.error.issues.filter(({ path: [key] }) => !broken.has(String(key)));
  return { faults: [...broken.values(), ...others.flatMap((issue) => faultsOf(issue, raw))] };
}

/** The key and its fault, if the text begins as a group or list but isn't JSON. The fault shows no text, which may be secret. */
function brokenJson(key: string, text: string): [string, string][] {
  const fault = /^\s*[[{]/.test(text) && !takesText(key) ? jsonFault(text) : undefined;
  return fault ? [[key, `${key}: is not JSON, line ${fault.line}, column ${fault.column}`]] : [];
}

const schemaOf = (key: string): z.ZodType | undefined =>
  Object.entries(configSchema.shape).find(([known]) => known === key)?.[1];

/** Whether the key's type allows texts. If it does, a text that the key refuses breaks another rule, for example a pattern. */
const takesText = (key: string): boolean =>
  schemaOf(key)
    ?.safeParse("")
    .error?.issues.every(({ code, path }) => path.length > 0 || !["invalid_type", "invalid_union"].includes(code)) ??
  true;

/**
 * Converts a text that Pulumi stores to a config value. If the key's schema accepts a string, the text stays a string, so
 * that a context can be named "123".
 */
function fromText(key: string, text: string): unknown {
  if (schemaOf(key)?.safeParse(text).success) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
