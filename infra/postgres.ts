import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { VolumeConfig } from "./config/scalars.ts";
import { contentName } from "./kubernetes/content-name.ts";
import { labels, selector } from "./kubernetes/labels.ts";
import { containerSecurity, podSecurity } from "./kubernetes/security.ts";
import { volumeClaimSpec } from "./kubernetes/volume-claim.ts";

export interface PostgresArgs {
  namespace: pulumi.Input<string>;
  /** Postgres 15 by digest. */
  image: pulumi.Input<string>;
  volume: VolumeConfig;
}

/** How the runtime reaches a Postgres. */
export interface PostgresConnection {
  host: string;
  port: number;
  database: string;
  user: string;
  password: pulumi.Output<string>;
}

/** The uid of the user `postgres` in the official image. */
const uid = 999;

/** One Postgres with a volume of its own: the truth about every session. */
export class Postgres extends pulumi.ComponentResource {
  readonly connection: PostgresConnection;

  constructor(name: string, args: PostgresArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Postgres", name, {}, opts);
    const parent = { parent: this };
    const { namespace } = args;
    const password = new random.RandomPassword(`${name}-password`, { length: 32, special: false }, parent);
    this.connection = { host: name, port: 5432, database: "berth", user: "berth", password: password.result };

    const secret = new k8s.core.v1.Secret(
      `${name}-password`,
      {
        metadata: {
          name: contentName("postgres-password", password.result),
          namespace,
          labels: labels("postgres"),
        },
        immutable: true,
        stringData: { password: password.result },
      },
      parent,
    );
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      `${name}-data`,
      {
        metadata: { name: "postgres-data", namespace, labels: labels("postgres") },
        spec: volumeClaimSpec(args.volume),
      },
      parent,
    );
    const service = new k8s.core.v1.Service(
      name,
      {
        metadata: { name, namespace, labels: labels("postgres"), annotations: { "pulumi.com/skipAwait": "true" } },
        spec: { clusterIP: "None", selector: selector("postgres"), ports: [{ name: "postgres", port: 5432 }] },
      },
      parent,
    );
    const isReady = {
      exec: { command: ["pg_isready", "--quiet", "--host=127.0.0.1", "--username=berth", "--dbname=berth"] },
    };
    new k8s.apps.v1.StatefulSet(
      name,
      {
        metadata: { name, namespace, labels: labels("postgres") },
        spec: {
          serviceName: service.metadata.name,
          replicas: 1,
          selector: { matchLabels: selector("postgres") },
          template: {
            metadata: { labels: labels("postgres") },
            spec: {
              automountServiceAccountToken: false,
              enableServiceLinks: false,
              securityContext: podSecurity(uid),
              // A fast shutdown with time for the last checkpoint.
              terminationGracePeriodSeconds: 60,
              containers: [
                {
                  name: "postgres",
                  image: args.image,
                  env: [
                    { name: "POSTGRES_USER", value: this.connection.user },
                    { name: "POSTGRES_DB", value: this.connection.database },
                    { name: "POSTGRES_PASSWORD_FILE", value: "/etc/postgres/password" },
                    // A folder below the mount, as initdb refuses one that holds lost+found.
                    { name: "PGDATA", value: "/var/lib/postgresql/data/pgdata" },
                  ],
                  ports: [{ name: "postgres", containerPort: 5432 }],
                  resources: { requests: { cpu: "50m", memory: "128Mi" }, limits: { cpu: "1", memory: "512Mi" } },
                  securityContext: containerSecurity,
                  startupProbe: { ...isReady, periodSeconds: 2, failureThreshold: 60 },
                  readinessProbe: { ...isReady, periodSeconds: 5, timeoutSeconds: 3 },
                  // Looks at the process only: a Postgres that is slow is not helped by a restart.
                  livenessProbe: { tcpSocket: { port: 5432 }, periodSeconds: 20, failureThreshold: 6 },
                  volumeMounts: [
                    { name: "data", mountPath: "/var/lib/postgresql/data" },
                    { name: "password", mountPath: "/etc/postgres", readOnly: true },
                    { name: "run", mountPath: "/var/run/postgresql" },
                    { name: "tmp", mountPath: "/tmp" },
                    { name: "shm", mountPath: "/dev/shm" },
                  ],
                },
              ],
              volumes: [
                { name: "data", persistentVolumeClaim: { claimName: claim.metadata.name } },
                { name: "password", secret: { secretName: secret.metadata.name, defaultMode: 0o440 } },
                { name: "run", emptyDir: {} },
                { name: "tmp", emptyDir: { sizeLimit: "256Mi" } },
                { name: "shm", emptyDir: { medium: "Memory", sizeLimit: "128Mi" } },
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
