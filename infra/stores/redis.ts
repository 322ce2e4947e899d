import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { quantityValue } from "../config/quantity.ts";
import type { RedisConfig } from "../config/stores.ts";
import { contentName } from "../kubernetes/content-name.ts";
import { generatedSecret } from "../kubernetes/generated-secret.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import { dataOptions, staysOnNode } from "../kubernetes/protect.ts";
import { withScratch } from "../kubernetes/scratch.ts";
import { containerSecurity, podSecurity } from "../kubernetes/security.ts";
import { volumeClaimSpec } from "../kubernetes/volume-claim.ts";
import type { StoreConnection } from "./connection.ts";

export interface RedisArgs extends Pick<RedisConfig, "volume" | "resources" | "passwordSecret"> {
  /** The platform's namespace. */
  namespace: pulumi.Input<string>;
  /** Redis 7 by digest. */
  image: pulumi.Input<string>;
  /** Whether the volume is protected from deletion. */
  protectData: boolean;
}

/** The uid of the user `redis` in the official image. */
const uid = 999;

/** Jobs must never be evicted, and survive a restart but for the last second. Half the memory is left to rewrites. */
const settings = (memory: string) => `maxmemory ${Math.floor(quantityValue(memory) / 2)}
maxmemory-policy noeviction
appendonly yes
appendfsync everysec
save ""
dir /data
`;

/** Settings and password go in by stdin, so that the password is in no file but the Secret's, no argument, no variable. */
const start = `exec redis-server - <<end
$(cat /etc/redis/redis.conf)
requirepass $(cat /etc/redis/password)
end`;

/** The password goes in by stdin, so that no process list shows it; LOADING and MASTERDOWN are not PONG. */
const ping = "{ printf 'AUTH '; cat /etc/redis/password; printf '\\nPING\\n'; } | redis-cli | grep -q PONG";

/** One Redis with a volume of its own: the queue, which can be rebuilt from Postgres. */
export class Redis extends pulumi.ComponentResource {
  readonly connection: StoreConnection;

  constructor(name: string, args: RedisArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Redis", name, {}, opts);
    const parent = { parent: this };
    const { namespace } = args;
    const secret =
      args.passwordSecret ??
      generatedSecret(
        `${name}-password`,
        { namespace, component: "redis", name: "redis-password", key: "password" },
        parent,
      );
    this.connection = {
      variables: { REDIS_HOST: name, REDIS_PORT: "6379" },
      secretVariables: [],
      password: { secret, key: "password" },
    };

    const data = { "redis.conf": settings(args.resources.limits.memory) };
    const config = new k8s.core.v1.ConfigMap(
      `${name}-config`,
      {
        metadata: { name: contentName("redis-config", data), namespace, labels: labels("redis") },
        immutable: true,
        data,
      },
      parent,
    );
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      `${name}-data`,
      { metadata: { name: "redis-data", namespace, labels: labels("redis") }, spec: volumeClaimSpec(args.volume) },
      { ...parent, ...dataOptions(args.protectData) },
    );
    const service = new k8s.core.v1.Service(
      name,
      {
        metadata: { name, namespace, labels: labels("redis"), annotations: { "pulumi.com/skipAwait": "true" } },
        spec: { clusterIP: "None", selector: selector("redis"), ports: [{ name: "redis", port: 6379 }] },
      },
      parent,
    );
    const isReady = { exec: { command: ["sh", "-c", ping] } };
    new k8s.apps.v1.StatefulSet(
      name,
      {
        metadata: { name, namespace, labels: labels("redis") },
        spec: {
          serviceName: service.metadata.name,
          replicas: 1,
          selector: { matchLabels: selector("redis") },
          template: {
            metadata: { labels: labels("redis"), annotations: staysOnNode },
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              securityContext: podSecurity(uid),
              containers: [
                {
                  name: "redis",
                  image: args.image,
                  command: ["sh", "-c", start],
                  ports: [{ name: "redis", containerPort: 6379 }],
                  resources: withScratch(args.resources),
                  securityContext: containerSecurity,
                  startupProbe: { ...isReady, periodSeconds: 2, failureThreshold: 60 },
                  readinessProbe: { ...isReady, periodSeconds: 5, timeoutSeconds: 3 },
                  livenessProbe: { tcpSocket: { port: 6379 }, periodSeconds: 20, failureThreshold: 6 },
                  volumeMounts: [
                    { name: "data", mountPath: "/data" },
                    { name: "config", mountPath: "/etc/redis", readOnly: true },
                    { name: "tmp", mountPath: "/tmp" },
                  ],
                },
              ],
              volumes: [
                { name: "data", persistentVolumeClaim: { claimName: claim.metadata.name } },
                {
                  name: "config",
                  projected: {
                    defaultMode: 0o440,
                    sources: [{ configMap: { name: config.metadata.name } }, { secret: { name: secret } }],
                  },
                },
                { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
              ],
            },
          },
        },
      },
      parent,
    );
    this.registerOutputs({});
  }
}
