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

/** The config's keys that the runtime is told as they are; their defaults are in config/. */
type Told = Pick<
  Config,
  | "publicUrl"
  | "sandboxUrl"
  | "logLevel"
  | "limits"
  | "trustedProxies"
  | "webhooksToPrivateAddresses"
  | "oidc"
  | "tracing"
  | "trustedCertificates"
  | "tokenKeySecret"
  | "tokenKeys"
  | "images"
  | "gateway"
>;

export interface SettingsArgs extends Told {
  platform: PlatformContext;
  /** How Postgres and Redis are reached. */
  postgres: StoreConnection;
  redis: StoreConnection;
  /** Connections to Postgres that each pod opens at most. */
  postgresPool: number;
  /** The desktop image by digest. */
  agentImage: pulumi.Input<string>;
  /** The image of the sessions' sidecar by digest. */
  berthdImage: pulumi.Input<string>;
  /** Hashes of the keys of those who may look at all tenants. */
  adminKeys: pulumi.Input<KeyEntry[]>;
  /** The tenants that are open. */
  tenants: pulumi.Input<TenantEntry>[];
  /** The names of the tenants that are being removed. */
  closedTenants: string[];
}

/** What the runtime's pods refer to; see `runtimePod`. */
export interface RuntimeSettings {
  /** Name of the ConfigMap with the environment. */
  config: pulumi.Output<string>;
  /** Variables that are read from Secrets. */
  secretVariables: types.input.core.v1.EnvVar[];
  /** What `secretsDir` is made of. */
  secretFiles: types.input.core.v1.VolumeProjection[];
  /** Name of the Secret with the tenants' file. */
  tenants: pulumi.Output<string>;
}

/** Where the runtime's pods find the files; see `runtimePod`. */
export const secretsDir = "/etc/berth/secrets";
export const tenantsDir = "/etc/berth/tenants";

const trustedFile = "trusted.crt";

/**
 * What the runtime is told: `api-config-<hash>` (environment), secret files from the Secrets of Postgres, Redis and
 * `api-secrets-<hash>`, and `tenants` (a file). Secrets and the environment are immutable and change their name with their
 * content, which rolls the pods. `tenants` keeps its name: the runtime reads the file again when it changes, so a new
 * tenant restarts nothing. The file has a number that grows with each change (`tenants-generation`).
 */
export class Settings extends pulumi.ComponentResource {
  readonly runtime: RuntimeSettings;

  constructor(name: string, args: SettingsArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Settings", name, {}, opts);
    const parent = { parent: this };
    const { postgres, redis } = args;
    const { namespace, generations } = args.platform;

    const environment = pulumi
      .all([args.agentImage, args.berthdImage])
      .apply(([agent, berthd]) => variables(args, { agent, berthd }));
    const config = generations.configMap(
      "api-config",
      { namespace, name: "api-config", labels: labels("api"), data: environment },
      parent,
    );

    const secretFiles: types.input.core.v1.VolumeProjection[] = [
      file(postgres.password, "postgres-password"),
      file(redis.password, "redis-password"),
      ...tokenKeyFiles(args, parent),
    ];
    if (args.trustedCertificates) {
      const name = generations.configMap(
        "trusted-certificates",
        {
          namespace,
          name: "trusted-certificates",
          labels: labels("api"),
          data: { [trustedFile]: args.trustedCertificates },
        },
        parent,
      );
      secretFiles.push({ configMap: { name } });
    }

    const content = pulumi
      .all([args.adminKeys, pulumi.all(args.tenants)])
      .apply(([keys, tenants]) => ({ admin: { keys }, tenants, closed: args.closedTenants }));
    const generation = tenantsGeneration(content, { namespace, labels: labels("api") }, parent);
    const tenants = new k8s.core.v1.Secret(
      "tenants",
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

const apiUrl = "http://api.berth.svc.cluster.local";
const gatewayUrl = "http://gateway.berth.svc.cluster.local";

const file = ({ secret, key }: SecretKey, path: string) => ({ secret: { name: secret, items: [{ key, path }] } });

/**
 * The keys from the oldest to the one after the current, which every pod so has before any pod signs by it. The one after may be
 * missing in a Secret of the user's own.
 */
function tokenKeyFiles(
  { platform, tokenKeySecret, tokenKeys: { oldest, current } }: SettingsArgs,
  parent: pulumi.CustomResourceOptions,
): types.input.core.v1.VolumeProjection[] {
  const numbers = Array.from({ length: current + 2 - oldest }, (_, index) => oldest + index);
  return numbers.map((number) => {
    const key = number === 1 ? "token-key" : `token-key-${number}`;
    const secret = number === 1 ? "api-secrets" : key;
    const generated = { platform, component: "api", name: secret, key, length: 48 } as const;
    const { secret: source } = file({ secret: tokenKeySecret ?? generatedSecret(key, generated, parent), key }, key);
    return { secret: { ...source, ...(tokenKeySecret !== null && number > current && { optional: true }) } };
  });
}

/** The runtime's environment; runtime/src/config/config.ts says what each is. */
function variables(args: SettingsArgs, images: { agent: string; berthd: string }): Record<string, string> {
  const { limits, oidc, tracing } = args;
  const hasGateway = args.gateway !== "inside";
  return {
    HTTP_PORT: "3000",
    WEBSOCKET_PORT: "3001",
    SESSION_PORT: "3002",
    // Pods that run keep it, and both Services stay: that of the API has this port beside a gateway too, and that of the
    // gateway leads to the API where it has no pods of its own.
    SESSION_URL: `${hasGateway ? gatewayUrl : apiUrl}:3002`,
    API_URL: apiUrl,
    ...(hasGateway && { GATEWAY_URL: gatewayUrl }),
    ...args.postgres.variables,
    POSTGRES_POOL: String(args.postgresPool),
    ...args.redis.variables,
    SECRETS_DIR: secretsDir,
    TOKEN_KEY_ID: String(args.tokenKeys.current),
    TENANTS_FILE: `${tenantsDir}/tenants.json`,
    AGENT_IMAGE: images.agent,
    // Built with this version's berthd in it; another's has another version's, or none.
    AGENT_IMAGE_HAS_BERTHD: String(args.images.agent === null),
    BERTHD_IMAGE: images.berthd,
    PUBLIC_URL: args.publicUrl,
    ...(args.sandboxUrl !== null && { SANDBOX_URL: args.sandboxUrl, SANDBOX_PORT: "3003" }),
    LOG_LEVEL: args.logLevel,
    RATE_LIMIT_PER_MINUTE: String(limits.ratePerMinute),
    BACKLOG_LIMIT: String(limits.backlog),
    MAX_STARTING: String(limits.starting),
    START_TIMEOUT_SECONDS: String(secondsOf(limits.startTimeout)),
    LOG_RETENTION_SECONDS: String(secondsOf(limits.logRetention)),
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
