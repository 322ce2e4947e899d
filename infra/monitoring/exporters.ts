import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type Component, labels, selector } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import { confinedPod } from "../kubernetes/pod.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";
import type { StoreConnection } from "../stores/connection.ts";

/** The uid of the user `nobody`. */
const uid = 65534;
const dir = "/etc/exporter";
const trusted = `${dir}/trusted`;

export interface ExporterArgs {
  platform: PlatformContext;
  /** The exporter's image by digest. */
  image: pulumi.Input<string>;
  component: Component;
  /** The connection to the Postgres or Redis that the exporter measures: the bundled or the external one. */
  connection: StoreConnection;
  /**
   * The shell command that starts the exporter. The variables of the connection are set, and /etc/exporter/password holds the
   * password.
   */
  command: string;
  port: number;
  /** Certificates in PEM that the exporter trusts in addition to public ones. Default: none. */
  trustedCertificates: string;
}

/** An exporter: one pod that queries a store and serves the results as metrics. */
export class Exporter extends pulumi.ComponentResource {
  /** Name of the Deployment. */
  readonly deployment: pulumi.Output<string>;

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
    this.deployment = new k8s.apps.v1.Deployment(
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
                // The probes check only the exporter, because the exporter must keep running to report that Postgres or Redis is
                // down.
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
    ).metadata.name;
    this.registerOutputs({ deployment: this.deployment });
  }
}

/**
 * Exports `pg_up`, connections and sizes. The exporter reads the password from a file, so that no argument or variable contains
 * the password.
 */
export const postgresExporter = {
  component: "postgres-exporter",
  port: 9187,
  command: `case "$POSTGRES_TLS" in true) mode=verify-full ;; *) mode=disable ;; esac
export DATA_SOURCE_URI="$POSTGRES_HOST:$POSTGRES_PORT/$POSTGRES_DATABASE?sslmode=$mode&application_name=exporter"
export DATA_SOURCE_USER="$POSTGRES_USER" DATA_SOURCE_PASS_FILE=${dir}/password
exec postgres_exporter --disable-settings-metrics`,
} as const;

/**
 * redis_exporter, which exports `redis_up`, memory and evicted keys. It can't read a file that contains only the password, so
 * it gets the password in a variable. The exporter is the only process in its container, so no other process can read
 * the variable.
 */
export const redisExporter = {
  component: "redis-exporter",
  port: 9121,
  command: `case "$REDIS_TLS" in true) scheme=rediss ;; *) scheme=redis ;; esac
export REDIS_ADDR="$scheme://$REDIS_HOST:$REDIS_PORT" REDIS_PASSWORD="$(cat ${dir}/password)"
exec /redis_exporter`,
} as const;
