import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { quantityValue } from "../../runtime/src/domain/quota/quantity.ts";
import type { RedisConfig } from "../config/stores.ts";
import { generatedSecret } from "../kubernetes/generated-secret.ts";
import { headlessService } from "../kubernetes/headless-service.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import { confinedPod, tmp } from "../kubernetes/pod.ts";
import { dataOptions } from "../kubernetes/protect.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";
import { volumeClaimSpec } from "../kubernetes/volume-claim.ts";
import type { StoreConnection } from "./connection.ts";

export interface RedisArgs extends Pick<RedisConfig, "volume" | "resources" | "passwordSecret"> {
  platform: PlatformContext;
  /** The image of Redis 7 by digest. */
  image: pulumi.Input<string>;
  /** Whether the volume is protected from deletion. */
  protectData: boolean;
}

/** The uid of the user `redis` in the official image. */
const uid = 999;

/**
 * Redis' settings. Redis never evicts jobs, and a crash loses at most the changes of the last second. `maxmemory` is half of the
 * container's memory limit. Redis needs the other half to rewrite its log.
 */
const settings = (memory: string) => `maxmemory ${Math.floor(quantityValue(memory) / 2)}
maxmemory-policy noeviction
appendonly yes
appendfsync everysec
save ""
dir /data
`;

/** Redis reads its settings and the password from stdin, so that no other file, argument or variable contains the password. */
const start = `exec redis-server - <<end
$(cat /etc/redis/redis.conf)
requirepass $(cat /etc/redis/password)
end`;

/** The health check sends the password by stdin, so that no process list shows it. Redis answers PONG only when it is ready. */
const ping = "{ printf 'AUTH '; cat /etc/redis/password; printf '\\nPING\\n'; } | redis-cli | grep -q PONG";

/** The bundled Redis with a volume. Redis holds the queue, which the runtime can rebuild from Postgres. */
export class Redis extends pulumi.ComponentResource {
  readonly connection: StoreConnection;

  constructor(name: string, args: RedisArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Redis", name, {}, opts);
    const parent = { parent: this };
    const { platform } = args;
    const { namespace } = platform;
    const secret =
      args.passwordSecret ??
      generatedSecret(
        `${name}-password`,
        { platform, component: "redis", name: `${name}-password`, key: "password" },
        parent,
      );
    this.connection = {
      variables: { REDIS_HOST: name, REDIS_PORT: "6379" },
      secretVariables: [],
      password: { secret, key: "password" },
    };

    const data = { "redis.conf": settings(args.resources.limits.memory) };
    const config = platform.generations.configMap(
      `${name}-config`,
      { namespace, name: `${name}-config`, labels: labels("redis"), data },
      parent,
    );
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      `${name}-data`,
      { metadata: { name: `${name}-data`, namespace, labels: labels("redis") }, spec: volumeClaimSpec(args.volume) },
      { ...parent, ...dataOptions(args.protectData) },
    );
    const port = { name: "redis", port: 6379 };
    const service = headlessService(name, { namespace, component: "redis", port }, parent);
    const isReady = { exec: { command: ["sh", "-c", ping] } };
    new k8s.apps.v1.StatefulSet(
      name,
      {
        metadata: { name, namespace, labels: labels("redis") },
        spec: {
          serviceName: service.metadata.name,
          replicas: 1,
          selector: { matchLabels: selector("redis") },
          template: confinedPod({
            component: "redis",
            defaults: platform.pods,
            uid,
            distribution: "stays",
            containers: [
              {
                name: "redis",
                image: args.image,
                command: ["sh", "-c", start],
                ports: [{ name: "redis", containerPort: 6379 }],
                resources: args.resources,
                probes: {
                  // Redis gets five minutes to start, because after a crash it first reads its log.
                  startup: { ...isReady, periodSeconds: 2, failureThreshold: 150 },
                  ready: { ...isReady, periodSeconds: 5, timeoutSeconds: 3 },
                  live: { tcpSocket: { port: 6379 }, periodSeconds: 20, failureThreshold: 6 },
                },
              },
            ],
            mounts: [
              {
                name: "data",
                path: "/data",
                volume: { persistentVolumeClaim: { claimName: claim.metadata.name } },
              },
              {
                name: "config",
                path: "/etc/redis",
                readOnly: true,
                volume: {
                  projected: {
                    defaultMode: 0o440,
                    sources: [{ configMap: { name: config } }, { secret: { name: secret } }],
                  },
                },
              },
              tmp("64Mi"),
            ],
          }),
        },
      },
      { parent: this, ...rolloutTimeout(platform.rolloutSeconds) },
    );
    this.registerOutputs({ connection: this.connection });
  }
}
