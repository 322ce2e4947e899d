import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { quantityValue } from "../config/quantity.ts";
import type { PostgresConfig } from "../config/stores.ts";
import { generatedSecret } from "../kubernetes/generated-secret.ts";
import { headlessService } from "../kubernetes/headless-service.ts";
import { labels, selector } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import { confinedPod, tmp } from "../kubernetes/pod.ts";
import { dataOptions } from "../kubernetes/protect.ts";
import { rolloutTimeout } from "../kubernetes/rollout-timeout.ts";
import { volumeClaimSpec } from "../kubernetes/volume-claim.ts";
import type { StoreConnection } from "./connection.ts";

export interface PostgresArgs
  extends Pick<PostgresConfig, "volume" | "resources" | "maxConnections" | "passwordSecret"> {
  platform: PlatformContext;
  /** Postgres 15 by digest. */
  image: pulumi.Input<string>;
  /** Whether the volume is protected from deletion. */
  protectData: boolean;
}

/** The uid of the user `postgres` in the official image. */
export const postgresUid = 999;
export const postgresDatabase = "berth";
export const postgresUser = "berth";

/**
 * Makes the user's password the Secret's, before Postgres listens: so a Secret with another password is all that a
 * rotation takes. On the first start there is no database yet, and it is made with the right one.
 */
const setPassword = `
[ -s "$PGDATA/PG_VERSION" ] || exit 0
quote="'"
password="$(cat /etc/postgres/password)"
printf 'ALTER ROLE "%s" PASSWORD '"'%s'"'\\n' "$POSTGRES_USER" "\${password//$quote/$quote$quote}" |
  postgres --single -D "$PGDATA" "$POSTGRES_DB" >/dev/null
`.trim();

/** One Postgres with a volume of its own: the truth about every session. */
export class Postgres extends pulumi.ComponentResource {
  readonly connection: StoreConnection;

  constructor(name: string, args: PostgresArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Postgres", name, {}, opts);
    const parent = { parent: this };
    const { platform } = args;
    const { namespace } = platform;
    const secret =
      args.passwordSecret ??
      generatedSecret(
        `${name}-password`,
        { platform, component: "postgres", name: `${name}-password`, key: "password" },
        parent,
      );
    this.connection = {
      variables: {
        POSTGRES_HOST: name,
        POSTGRES_PORT: "5432",
        POSTGRES_DATABASE: postgresDatabase,
        POSTGRES_USER: postgresUser,
      },
      secretVariables: [],
      password: { secret, key: "password" },
    };

    // A resource of its own rather than a template's, so that Pulumi protects it and no StatefulSet ever deletes it.
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      `${name}-data`,
      {
        metadata: { name: "postgres-data", namespace, labels: labels("postgres") },
        spec: volumeClaimSpec(args.volume),
      },
      { ...parent, ...dataOptions(args.protectData) },
    );
    const port = { name: "postgres", port: 5432 };
    const service = headlessService(name, { namespace, component: "postgres", port }, parent);
    const container = {
      image: args.image,
      env: [
        { name: "POSTGRES_USER", value: postgresUser },
        { name: "POSTGRES_DB", value: postgresDatabase },
        { name: "POSTGRES_PASSWORD_FILE", value: "/etc/postgres/password" },
        // A folder below the mount, as initdb refuses one that holds lost+found.
        { name: "PGDATA", value: "/var/lib/postgresql/data/pgdata" },
      ],
      resources: args.resources,
      scratch: { limit: "1Gi" },
    };
    const cache = Math.floor(quantityValue(args.resources.limits.memory) / 4 / 1024 ** 2);
    const isReady = {
      exec: {
        command: [
          "pg_isready",
          "--quiet",
          "--host=127.0.0.1",
          `--username=${postgresUser}`,
          `--dbname=${postgresDatabase}`,
        ],
      },
    };
    new k8s.apps.v1.StatefulSet(
      name,
      {
        metadata: { name, namespace, labels: labels("postgres") },
        spec: {
          serviceName: service.metadata.name,
          replicas: 1,
          selector: { matchLabels: selector("postgres") },
          template: confinedPod({
            component: "postgres",
            defaults: platform.pods,
            uid: postgresUid,
            placement: "stays",
            // A fast shutdown with time for the last checkpoint.
            gracePeriodSeconds: 60,
            initContainers: [
              { ...container, name: "password", command: ["bash", "-euo", "pipefail", "-c", setPassword] },
            ],
            containers: [
              {
                ...container,
                name: "postgres",
                args: ["postgres", "-c", `shared_buffers=${cache}MB`, "-c", `max_connections=${args.maxConnections}`],
                ports: [{ name: "postgres", containerPort: 5432 }],
                probes: {
                  startup: { ...isReady, periodSeconds: 2, failureThreshold: 60 },
                  ready: { ...isReady, periodSeconds: 5, timeoutSeconds: 3 },
                  // Looks at the process only: a Postgres that is slow is not helped by a restart.
                  live: { tcpSocket: { port: 5432 }, periodSeconds: 20, failureThreshold: 6 },
                },
              },
            ],
            mounts: [
              {
                name: "data",
                path: "/var/lib/postgresql/data",
                volume: { persistentVolumeClaim: { claimName: claim.metadata.name } },
              },
              {
                name: "password",
                path: "/etc/postgres",
                readOnly: true,
                volume: { secret: { secretName: secret, defaultMode: 0o440 } },
              },
              { name: "run", path: "/var/run/postgresql", volume: { emptyDir: {} } },
              tmp("256Mi"),
              { name: "shm", path: "/dev/shm", volume: { emptyDir: { medium: "Memory", sizeLimit: "128Mi" } } },
            ],
          }),
        },
      },
      { parent: this, ...rolloutTimeout(platform.rolloutSeconds) },
    );
    this.registerOutputs({ connection: this.connection });
  }
}
