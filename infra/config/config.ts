/** The stack's config: one schema, its defaults, and the faults of a config that breaks it. Its parts are in config/. */
import { z } from "zod";
import { connectable } from "./connections.ts";
import { faultsOf } from "./faults.ts";
import { imagePullSecrets, images, registryLogins, registryPush } from "./images.ts";
import { ingress } from "./ingress.ts";
import { adminKeys } from "./keys.ts";
import { adapter, grafana, measurable, prometheus } from "./monitoring.ts";
import { api, autoscaler, gateway, keda, kubernetesApi, requestScale, rolloutTimeout, worker } from "./platform.ts";
import {
  egress,
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
import { url } from "./scalars.ts";
import { postgres, protectData, redis } from "./stores.ts";
import { tenants } from "./tenant.ts";

const keys = z.strictObject({
  context: z
    .string()
    .min(1, { error: "is empty; name a context of your kubeconfig" })
    .describe("The kubeconfig context of the cluster that this stack belongs to. No other cluster is ever touched."),
  registry: z
    .string()
    .regex(/^[a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*$/, {
      error: "is not a registry and path, for example ghcr.io/acme/berth",
    })
    .describe("Where Berth's own images are pushed to and pulled from, for example ghcr.io/acme/berth."),
  baseRegistry: z
    .string()
    .regex(/^([a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*)?$/, { error: "is not a registry and path, for example mirror:5000" })
    .default("")
    .describe(
      "Put before the names of base images, for example mirror.example.com for mirror.example.com/docker.io/library/node. Empty for the originals.",
    ),
  registryLogins: registryLogins
    .default([])
    .describe(
      "Logins that may read at private registries: for base images, and, as the Secret `registry-login` in every namespace of Berth, for pulling. Docker on the machine that runs Pulumi uses its own logins beside them.",
    ),
  registryPush: registryPush
    .optional()
    .describe(
      "Login that may write at `registry`, for pushing Berth's images; it goes into no cluster. Without it Docker's own login pushes, never one of `registryLogins`.",
    ),
  images: images.prefault({}).describe("What sessions run, beside what their tenants name under `images`."),
  imagePullSecrets: imagePullSecrets
    .default([])
    .describe(
      "Names of Secrets (kubernetes.io/dockerconfigjson) of your own for pulling, in place of `registryLogins`. They must be in the namespace berth and in every tenant's.",
    ),
  prepullAgentImage: z
    .boolean()
    .default(true)
    .describe(
      "Whether every node gets the sessions' image ahead (DaemonSet `image-puller`), before a session needs it.",
    ),
  publicUrl: url.describe("The address at which users reach the API, for example https://berth.example.com."),
  sandboxUrl: sandboxUrl
    .default(null)
    .describe(
      "Where the ports of sessions are reached (docs/ports.md): https://*.sandbox.example.org, by wildcard DNS, gives each port a host of its own; without a `*` each is a path of one host. It shares neither origin nor domain with `publicUrl`. Null: ports have no address.",
    ),
  adoptExisting: z
    .boolean()
    .default(false)
    .describe(
      "Take over objects of the same name that are in the cluster already, so that an interrupted first run is repaired by the next.",
    ),
  platform: z
    .enum(["linux/amd64", "linux/arm64"], { error: "is neither linux/amd64 nor linux/arm64" })
    .default("linux/amd64")
    .describe("Operating system and architecture of the cluster's nodes, for which the images are built."),
  buildNetwork: z
    .enum(["default", "host"], { error: "is neither default nor host" })
    .default("default")
    .describe("Network of the image builds: default, or host where the Docker daemon has no bridge."),
  logLevel: z
    .enum(["trace", "debug", "info", "warn", "error"], { error: "is none of trace, debug, info, warn, error" })
    .default("info")
    .describe("Log level of API, gateway and worker: trace, debug, info, warn or error."),
  requestScale: requestScale
    .default(1)
    .describe(
      "Multiplies what all pods of the platform request of CPU and memory, so that the whole fits a small cluster, for example 0.1. Limits stay, and so does the load at which the autoscalers act.",
    ),
  rolloutTimeout,
  autoscaler: autoscaler
    .default("hpa")
    .describe(
      "What decides on the number of pods of API, gateway and worker: hpa for Kubernetes' own autoscaler and the stack's adapter, keda for the KEDA of the cluster, off for `autoscaling.min` pods at any load.",
    ),
  keda: keda.prefault({}).describe("The cluster's KEDA, for `autoscaler: keda`."),
  api: api.prefault({}).describe("The HTTP API."),
  gateway: gateway
    .default("inside")
    .describe(
      "Where desktops, commands, files and streams pass: `inside` for the API's own pods, or these keys, `{}` at least, for pods of its own, so that a rollout or restart of the API cuts none of them.",
    ),
  worker: worker.prefault({}).describe("The worker, which makes and removes the sessions' pods."),
  limits: limits.prefault({}).describe("What API and worker let happen at one time."),
  oidc: oidc.default(null).describe("Tokens of an identity provider, taken beside API keys; null for keys only."),
  tracing: tracing.default(null).describe("Traces of API and worker; null for none."),
  egress: egress
    .default([])
    .describe(
      "What API and worker may reach beyond stores, sessions and Kubernetes: the OIDC issuer, the trace collector, webhooks.",
    ),
  trustedProxies: trustedProxies.default([]),
  webhooksToPrivateAddresses: webhooksToPrivateAddresses.default(false),
  trustedCertificates: trustedCertificates.default(""),
  tokenKeySecret: tokenKeySecret.default(null),
  tokenKeys: tokenKeys.prefault({}).describe("The keys that sign sessions' tokens and links; see docs/secrets.md."),
  protectData,
  postgres: postgres.prefault({}).describe("The database, which holds the truth about sessions."),
  redis: redis.prefault({}).describe("The queue, which can be rebuilt from the database."),
  ingress: ingress
    .default(null)
    .describe("How users reach the API from outside the cluster; null for a way of your own to the Service `api`."),
  prometheus: prometheus.prefault({}).describe("What is measured, and how long it is kept."),
  adapter: adapter.prefault({}).describe("The adapter, by which autoscalers see what Prometheus measures."),
  grafana: grafana
    .nullable()
    .default(null)
    .describe("A Grafana with the dashboard; null for none, or one of your own."),
  kubernetesApi: kubernetesApi
    .nullable()
    .default(null)
    .describe(
      "Addresses of the Kubernetes API as pods reach it, which the network policies open; null to read them from the EndpointSlice `kubernetes`. Name them where the network sees others.",
    ),
  adminKeys: adminKeys.describe(
    "Keys of those who may look at all tenants: `berth_admin_…`. The first that is generated is the output `adminKey`.",
  ),
  tenants: tenants.default([]).describe("Who may start sessions: one entry per tenant."),
});

export const configSchema = keys.check(measurable, connectable, apart);

/** The stack's config with all defaults filled in. */
export type Config = z.output<typeof configSchema>;

/** A config or the list of its faults, one line each. */
export type ConfigResult = { config: Config; faults?: never } | { config?: never; faults: string[] };

/**
 * Checks a config against the schema.
 * @param values the keys without their namespace; text as Pulumi stores it, that is JSON for all that isn't a string
 */
export function parseConfig(values: Record<string, string>): ConfigResult {
  const raw = Object.fromEntries(Object.entries(values).map(([key, text]) => [key, fromText(key, text)]));
  const result = configSchema.safeParse(raw);
  return result.success
    ? { config: result.data }
    : { faults: result.error.issues.flatMap((issue) => faultsOf(issue, raw)) };
}

/** The value that Pulumi has as text. Keys whose schema takes the text itself keep it, so that "123" can be a context. */
function fromText(key: string, text: string): unknown {
  const schema = Object.entries(configSchema.shape).find(([known]) => known === key)?.[1];
  if (schema?.safeParse(text).success) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
