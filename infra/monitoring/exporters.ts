import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type Component, labels, selector } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import { confinedPod } from "../kubernetes/pod.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";
import type { StoreConnection } from "../stores/connection.ts";

/** The user `nobody`. */
const uid = 65534;
const dir = "/etc/exporter";
const trusted = `${dir}/trusted`;

export interface ExporterArgs {
  platform: PlatformContext;
  /** By digest. */
  image: pulumi.Input<string>;
  component: Component;
  /** The store that it looks at, bundled or not. */
  connection: StoreConnection;
  /** Starts it; the connection's variables are set and the password is in /etc/exporter/password. */
  command: string;
  port: number;
  /** Certificates in PEM that are trusted too. Default none. */
  trustedCertificates: string;
}

/** Measures a store from outside: one pod that asks it what it knows of itself. */
export class Exporter extends pulumi.ComponentResource {
  constructor(name: string, args: ExporterArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Exporter", name, {}, opts);
    const parent = { parent: this };
    const { platform, component, connection } = args;
    const { namespace } = platform;
    const { secret, key } = connection.password;
    const certificates =
      args.trustedCertificates &&
      platform.generations.configMap(
        `${name}-trusted`,
        {
          namespace,
          name: `${name}-trusted`,
          labels: labels(component),
          data: { "ca.crt": args.trustedCertificates },
        },
        parent,
      );
    const answers = { httpGet: { path: "/", port: "metrics" }, timeoutSeconds: 3 };
    new k8s.apps.v1.Deployment(
      name,
      {
        metadata: { name, namespace, labels: labels(component) },
        spec: {
          replicas: 1,
          strategy: { type: "Recreate" },
          progressDeadlineSeconds: 300,
          selector: { matchLabels: selector(component) },
          template: confinedPod({
            component,
            defaults: platform.pods,
            uid,
            metricsPort: args.port,
            containers: [
              {
                name: "exporter",
                image: args.image,
                command: ["sh", "-c", args.command],
                env: [
                  ...Object.entries(connection.variables).map(([variable, value]) => ({ name: variable, value })),
                  ...connection.secretVariables,
                  ...(certificates ? [{ name: "SSL_CERT_DIR", value: `/etc/ssl/certs:${trusted}` }] : []),
                ],
                ports: [{ name: "metrics", containerPort: args.port }],
                resources: { requests: { cpu: "10m", memory: "32Mi" }, limits: { cpu: "200m", memory: "128Mi" } },
                scratch: { request: "16Mi", limit: "64Mi" },
                // They look at the exporter alone: that the store is down is what it has to tell.
                probes: {
                  startup: { ...answers, periodSeconds: 1, failureThreshold: 60 },
                  ready: { ...answers, periodSeconds: 10 },
                  live: { tcpSocket: { port: "metrics" }, periodSeconds: 20, failureThreshold: 6 },
                },
              },
            ],
            mounts: [
              {
                name: "password",
                path: `${dir}/password`,
                subPath: "password",
                readOnly: true,
                volume: { secret: { secretName: secret, items: [{ key, path: "password" }], defaultMode: 0o440 } },
              },
              ...(certificates
                ? [{ name: "trusted", path: trusted, readOnly: true, volume: { configMap: { name: certificates } } }]
                : []),
            ],
          }),
        },
      },
      { parent: this, ...rolloutTimeout(platform.rolloutSeconds) },
    );
    this.registerOutputs();
  }
}

/** `pg_up`, connections, sizes. A file of its own for the password, so that it is neither argument nor variable. */
export const postgresExporter = {
  component: "postgres-exporter",
  port: 9187,
  command: `case "$POSTGRES_TLS" in true) mode=verify-full ;; *) mode=disable ;; esac
export DATA_SOURCE_URI="$POSTGRES_HOST:$POSTGRES_PORT/$POSTGRES_DATABASE?sslmode=$mode&application_name=exporter"
export DATA_SOURCE_USER="$POSTGRES_USER" DATA_SOURCE_PASS_FILE=${dir}/password
exec postgres_exporter --disable-settings-metrics`,
} as const;

/** `redis_up`, memory, evicted keys. It takes the password as a variable only, which nobody else sees. */
export const redisExporter = {
  component: "redis-exporter",
  port: 9121,
  command: `case "$REDIS_TLS" in true) scheme=rediss ;; *) scheme=redis ;; esac
export REDIS_ADDR="$scheme://$REDIS_HOST:$REDIS_PORT" REDIS_PASSWORD="$(cat ${dir}/password)"
exec /redis_exporter`,
} as const;
