import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { VolumeConfig } from "./config/scalars.ts";
import { contentName } from "./kubernetes/content-name.ts";
import { labels, selector } from "./kubernetes/labels.ts";
import { containerSecurity, podSecurity } from "./kubernetes/security.ts";
import { volumeClaimSpec } from "./kubernetes/volume-claim.ts";

export interface RedisArgs {
  namespace: pulumi.Input<string>;
  /** Redis 7 by digest. */
  image: pulumi.Input<string>;
  volume: VolumeConfig;
}

/** How the runtime reaches a Redis. */
export interface RedisConnection {
  host: string;
  port: number;
  password: pulumi.Output<string>;
}

/** The uid of the user `redis` in the official image. */
const uid = 999;

/** Jobs must never be evicted, and survive a restart but for the last second. */
const config = (password: string) => `requirepass ${password}
maxmemory 256mb
maxmemory-policy noeviction
appendonly yes
appendfsync everysec
dir /data
`;

/** The password goes in by stdin, so that no process list shows it; LOADING and MASTERDOWN are not PONG. */
const ping = "{ printf 'AUTH '; cat /etc/redis/password; printf '\\nPING\\n'; } | redis-cli | grep -q PONG";

/** One Redis with a volume of its own: the queue, which can be rebuilt from Postgres. */
export class Redis extends pulumi.ComponentResource {
  readonly connection: RedisConnection;

  constructor(name: string, args: RedisArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Redis", name, {}, opts);
    const parent = { parent: this };
    const { namespace } = args;
    const password = new random.RandomPassword(`${name}-password`, { length: 32, special: false }, parent);
    this.connection = { host: name, port: 6379, password: password.result };

    const files = password.result.apply((value) => ({ "redis.conf": config(value), password: value }));
    const secret = new k8s.core.v1.Secret(
      `${name}-config`,
      {
        metadata: {
          name: contentName("redis-config", files),
          namespace,
          labels: labels("redis"),
        },
        immutable: true,
        stringData: files,
      },
      parent,
    );
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      `${name}-data`,
      { metadata: { name: "redis-data", namespace, labels: labels("redis") }, spec: volumeClaimSpec(args.volume) },
      parent,
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
            metadata: { labels: labels("redis") },
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              securityContext: podSecurity(uid),
              containers: [
                {
                  name: "redis",
                  image: args.image,
                  args: ["redis-server", "/etc/redis/redis.conf"],
                  ports: [{ name: "redis", containerPort: 6379 }],
                  resources: { requests: { cpu: "25m", memory: "64Mi" }, limits: { cpu: "500m", memory: "512Mi" } },
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
                { name: "config", secret: { secretName: secret.metadata.name, defaultMode: 0o440 } },
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
