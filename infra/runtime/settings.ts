import type { types } from "@pulumi/kubernetes";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "../config/config.ts";
import { secondsOf } from "../config/duration.ts";
import { generatedSecret } from "../kubernetes/generated-secret.ts";
import { labels } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import type { SecretKey, StoreConnection } from "../stores/connection.ts";
import { type KeyEntry, type TenantEntry, tenantsFile } from "../tenants/tenants-file.ts";
import { tenantsGeneration } from "../tenants/tenants-generation.ts";

/** The keys of the stack's config from which this component makes the runtime's settings. Their defaults are in config/. */
type PassedKeys = Pick<
  Config,
  | "publicUrl"
  | "sandboxUrl"
  | "logLevel"
  | "limits"
  | "namespace"
  | "trustedProxies"
  | "webhooksToPrivateAddresses"
  | "oidc"
  | "tracing"
  | "trustedCertificates"
  | "tokenKeySecret"
  | "tokenKeys"
  | "images"
  | "gateway"
  | "prometheus"
>;

export interface SettingsArgs extends PassedKeys {
  platform: PlatformContext;
  /** The connections to Postgres and Redis. */
  postgres: StoreConnection;
  redis: StoreConnection;
  /** The highest number of connections to Postgres for each pod. */
  postgresPool: number;
  /** The sessions' desktop image by digest. */
  agentImage: pulumi.Input<string>;
  /** The image of berthd by digest. */
  berthdImage: pulumi.Input<string>;
  /** The admin's API keys, as hashes. */
  adminKeys: pulumi.Input<KeyEntry[]>;
  /** The tenants except those that are being removed. */
  tenants: pulumi.Input<TenantEntry>[];
  /** The names of the tenants that are being removed. */
  closedTenants: string[];
}

/** The objects to which the runtime's pods refer; see `runtimePod`. */
export interface RuntimeSettings {
  /** The name of the ConfigMap with the environment variables. */
  config: pulumi.Output<string>;
  /** Environment variables that pods read from Secrets. */
  secretVariables: types.input.core.v1.EnvVar[];
  /** The Secrets and ConfigMaps whose files the volume at `secretsDir` contains. */
  secretFiles: types.input.core.v1.VolumeProjection[];
  /** The name of the Secret with the tenants file. */
  tenants: pulumi.Output<string>;
}

/** The folders of the files in the runtime's pods; see `runtimePod`. */
export const secretsDir = "/etc/berth/secrets";
export const tenantsDir = "/etc/berth/tenants";

const trustedFile = "trusted.crt";

/**
 * The settings of the runtime: the ConfigMap `api-config-<hash>` with environment variables; files with the token keys, the
 * passwords of Postgres and Redis, and the trusted certificates; and the Secret `tenants` with the tenants file. The name of each
 * immutable object contains a hash, so new content restarts the pods. The Secret `tenants` keeps its name: when the tenants file
 * changes, the runtime reads the file again, so a new tenant restarts no pod. The file contains a number that grows with each
 * change (`tenants-generation`).
 */
export class Settings extends pulumi.ComponentResource {
  readonly runtime: RuntimeSettings;

  constructor(name: string, args: SettingsArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Settings", name, {}, opts);
    const parent = { parent: this };
    const { postgres, redis } = args;
    const { namespace, generations } = args.platform;

    const environment = pulumi
      .all([args.agentImage, args.berthdImage, postgres.variables, redis.variables])
      .apply(([agent, berthd, ofPostgres, ofRedis]) => variables(args, { agent, berthd }, ofPostgres, ofRedis));
    const config = generations.configMap(
      `${name}-config`,
      { namespace, name: "api-config", labels: labels("api"), data: environment },
      parent,
    );

    const secretFiles: types.input.core.v1.VolumeProjection[] = [
      file(postgres.password, "postgres-password"),
      file(redis.password, "redis-password"),
      ...tokenKeyFiles(name, args, parent),
    ];
    if (args.trustedCertificates) {
      const trusted = generations.configMap(
        `${name}-trusted-certificates`,
        {
          namespace,
          name: "trusted-certificates",
          labels: labels("api"),
          data: { [trustedFile]: args.trustedCertificates },
        },
        parent,
      );
      secretFiles.push({ configMap: { name: trusted } });
    }

    const content = pulumi
      .all([args.adminKeys, pulumi.all(args.tenants)])
      .apply(([keys, tenants]) => ({ admin: { keys }, tenants, closed: args.closedTenants }));
    const generation = tenantsGeneration(content, { namespace, labels: labels("api") }, parent);
    const tenants = new k8s.core.v1.Secret(
      `${name}-tenants`,
      {
        metadata: { name: "tenants", namespace, labels: labels("api") },
        stringData: {
          "tenants.json": pulumi.all([generation, content]).apply((values) => tenantsFile(...values)),
        },
      },
      parent,
    );
    this.runtime = {
      config,
      secretVariables: [...postgres.secretVariables, ...redis.secretVariables],
      secretFiles,
      tenants: tenants.metadata.name,
    };
    this.registerOutputs({ config, tenants: tenants.metadata.name });
  }
}

/** The address of a Service, without the cluster's domain. A pod's resolver adds the domain, so the address fits any cluster. */
const urlOf = (service: string, namespace: string) => `http://${service}.${namespace}.svc`;

const file = ({ secret, key }: SecretKey, path: string) => ({ secret: { name: secret, items: [{ key, path }] } });

/**
 * The files of the token keys, from the oldest key to the key after the current one. Every pod gets the next key in advance, so
 * that all pods have the key before one of them signs with it. A Secret that the config names may lack the next key.
 * @param name the component's name
 */
function tokenKeyFiles(
  name: string,
  { platform, tokenKeySecret, tokenKeys: { oldest, current } }: SettingsArgs,
  parent: pulumi.CustomResourceOptions,
): types.input.core.v1.VolumeProjection[] {
  const numbers = Array.from({ length: current + 2 - oldest }, (_, index) => oldest + index);
  return numbers.map((number) => {
    const key = number === 1 ? "token-key" : `token-key-${number}`;
    const secret = number === 1 ? "api-secrets" : key;
    const generated = { platform, component: "api", name: secret, key, length: 48 } as const;
    const generate = () => generatedSecret(`${name}-${key}`, generated, parent);
    const { secret: source } = file({ secret: tokenKeySecret ?? generate(), key }, key);
    return { secret: { ...source, ...(tokenKeySecret !== null && number > current && { optional: true }) } };
  });
}

/** The runtime's environment variables. runtime/src/config/config.ts describes each variable. */
function variables(
  args: SettingsArgs,
  images: { agent: string; berthd: string },
  postgres: Record<string, string>,
  redis: Record<string, string>,
): Record<string, string> {
  const { limits, oidc, tracing } = args;
  const hasGateway = args.gateway !== "inside";
  const [apiUrl, gatewayUrl] = [urlOf("api", args.namespace), urlOf("gateway", args.namespace)];
  return {
    HTTP_PORT: "3000",
    WEBSOCKET_PORT: "3001",
    SESSION_PORT: "3002",
    // When the config changes, running session pods keep the address that they got. So both Services always serve port 3002,
    // with and without separate gateway pods.
    SESSION_URL: `${hasGateway ? gatewayUrl : apiUrl}:3002`,
    API_URL: apiUrl,
    LEASE_NAMESPACE: args.namespace,
    ...(hasGateway && { GATEWAY_URL: gatewayUrl }),
    ...postgres,
    POSTGRES_POOL: String(args.postgresPool),
    ...redis,
    SECRETS_DIR: secretsDir,
    TOKEN_KEY_ID: String(args.tokenKeys.current),
    TENANTS_FILE: `${tenantsDir}/tenants.json`,
    AGENT_IMAGE: images.agent,
    // Only an image that this stack builds is certain to contain berthd of the same version. A finished image may contain
    // another version or none.
    AGENT_IMAGE_HAS_BERTHD: String(typeof args.images.agent !== "string"),
    BERTHD_IMAGE: images.berthd,
    ...(args.images.berthdVolume === "image" && { BERTHD_VOLUME: "image" }),
    PUBLIC_URL: args.publicUrl,
    ...(args.sandboxUrl !== null && { SANDBOX_URL: args.sandboxUrl, SANDBOX_PORT: "3003" }),
    ...(args.prometheus.sessionHistory && { PROMETHEUS_URL: `${urlOf("prometheus", args.namespace)}:9090` }),
    LOG_LEVEL: args.logLevel,
    RATE_LIMIT_PER_MINUTE: String(limits.ratePerMinute),
    BACKLOG_LIMIT: String(limits.backlog),
    MAX_STARTING: String(limits.starting),
    MAX_STARTING_PER_NODE: String(limits.startingPerNode),
    START_TIMEOUT_SECONDS: String(secondsOf(limits.startTimeout)),
    DEAD_NODE_SECONDS: String(secondsOf(limits.deadNodeTimeout)),
    LOG_RETENTION_SECONDS: String(secondsOf(limits.logRetention)),
    SESSION_RETENTION_SECONDS: String(secondsOf(limits.sessionRetention)),
    EVENT_RETENTION_SECONDS: String(secondsOf(limits.eventRetention)),
    DELIVERY_RETENTION_SECONDS: String(secondsOf(limits.deliveryRetention)),
    IDEMPOTENCY_RETENTION_SECONDS: String(secondsOf(limits.idempotencyRetention)),
    WEBHOOK_ALLOW_PRIVATE: String(args.webhooksToPrivateAddresses),
    ...(args.trustedProxies.length > 0 && { TRUSTED_PROXIES: args.trustedProxies.join(",") }),
    ...(oidc && {
      OIDC_ISSUER: oidc.issuer,
      OIDC_AUDIENCE: oidc.audience,
      OIDC_TENANT_CLAIM: oidc.tenantClaim,
    }),
    ...(tracing && { OTEL_EXPORTER_OTLP_ENDPOINT: tracing.endpoint }),
    ...(args.trustedCertificates && { NODE_EXTRA_CA_CERTS: `${secretsDir}/${trustedFile}` }),
  };
}
