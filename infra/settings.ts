import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { contentName } from "./kubernetes/content-name.ts";
import { labels } from "./kubernetes/labels.ts";
import type { PostgresConnection } from "./postgres.ts";
import type { RedisConnection } from "./redis.ts";
import { type TenantEntry, tenantsFile } from "./tenants-file.ts";

export interface SettingsArgs {
  namespace: pulumi.Input<string>;
  postgres: PostgresConnection;
  redis: RedisConnection;
  /** The desktop image by digest. */
  agentImage: pulumi.Input<string>;
  publicUrl: string;
  logLevel: string;
  tenants: pulumi.Input<TenantEntry>[];
}

/** Names of the objects that the runtime's pods mount. */
export interface RuntimeSettings {
  config: pulumi.Output<string>;
  secrets: pulumi.Output<string>;
  tenants: pulumi.Output<string>;
}

/** Where the runtime's pods find the files; see `runtimePod`. */
export const secretsDir = "/etc/berth/secrets";
export const tenantsDir = "/etc/berth/tenants";

/**
 * What the runtime is told: `api-config-<hash>` (environment), `api-secrets-<hash>` (files) and `tenants` (a file).
 * The first two are immutable and change their name with their content, which rolls the pods. `tenants` keeps its name:
 * the runtime reads the file again when it changes, so a new tenant restarts nothing.
 */
export class Settings extends pulumi.ComponentResource {
  readonly names: RuntimeSettings;

  constructor(name: string, args: SettingsArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Settings", name, {}, opts);
    const parent = { parent: this };
    const { namespace, postgres, redis } = args;

    const environment = pulumi.output(args.agentImage).apply((agentImage) => ({
      HTTP_PORT: "3000",
      WEBSOCKET_PORT: "3001",
      POSTGRES_HOST: postgres.host,
      POSTGRES_PORT: String(postgres.port),
      POSTGRES_DATABASE: postgres.database,
      POSTGRES_USER: postgres.user,
      REDIS_HOST: redis.host,
      REDIS_PORT: String(redis.port),
      SECRETS_DIR: secretsDir,
      TENANTS_FILE: `${tenantsDir}/tenants.json`,
      AGENT_IMAGE: agentImage,
      PUBLIC_URL: args.publicUrl,
      LOG_LEVEL: args.logLevel,
    }));
    const config = new k8s.core.v1.ConfigMap(
      "api-config",
      {
        metadata: {
          name: contentName("api-config", environment),
          namespace,
          labels: labels("api"),
        },
        immutable: true,
        data: environment,
      },
      parent,
    );

    const tokenKey = new random.RandomPassword("token-key", { length: 48, special: false }, parent);
    const files = pulumi
      .all([postgres.password, redis.password, tokenKey.result])
      .apply(([postgresPassword, redisPassword, key]) => ({
        "postgres-password": postgresPassword,
        "redis-password": redisPassword,
        "token-key": key,
      }));
    const secrets = new k8s.core.v1.Secret(
      "api-secrets",
      {
        metadata: {
          name: contentName("api-secrets", files),
          namespace,
          labels: labels("api"),
        },
        immutable: true,
        stringData: files,
      },
      parent,
    );

    const tenants = new k8s.core.v1.Secret(
      "tenants",
      {
        metadata: { name: "tenants", namespace, labels: labels("api") },
        stringData: { "tenants.json": pulumi.all(args.tenants).apply(tenantsFile) },
      },
      parent,
    );
    this.names = { config: config.metadata.name, secrets: secrets.metadata.name, tenants: tenants.metadata.name };
    this.registerOutputs({});
  }
}
