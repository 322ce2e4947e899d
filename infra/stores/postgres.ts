import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { quantityValue } from "../../runtime/src/domain/quota/quantity.ts";
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
  /** The image of Postgres 15 by digest. */
  image: pulumi.Input<string>;
  /** Whether the volume is protected from deletion. */
  protectData: boolean;
}

/** The uid of the user `postgres` in the official image. */
export const postgresUid = 999;
export const postgresDatabase = "berth";
export const postgresUser = "berth";

/**
 * Sets the password of the database user to the Secret's password before Postgres accepts connections. So a rotation needs only
 * a Secret with a new password. On the first start there is no database yet, and the image creates the user with the right
 * password.
 */
const setPassword = `
[ -s "$PGDATA/PG_VERSION" ] || exit 0
quote="'"
password="$(cat /etc/postgres/password)"
printf 'ALTER ROLE "%s" PASSWORD '"'%s'"'\\n' "$POSTGRES_USER" "\${password//$quote/$quote$quote}" |
  postgres --single -D "$PGDATA" "$POSTGRES_DB" >/dev/null
`.trim();

/** The bundled Postgres with a volume. Postgres is the source of truth about sessions. */
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

    // The claim is a separate resource, not a template of the StatefulSet. So Pulumi can protect the claim (`protectData`), and
    // the StatefulSet never deletes it.
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      `${name}-data`,
      {
        metadata: { name: `${name}-data`, namespace, labels: labels("postgres") },
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
        // A folder below the mount point, because initdb refuses a folder that contains lost+found.
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
            distribution: "stays",
            // Before Postgres stops, it may need this many seconds to write a checkpoint.
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
                  // Postgres gets five minutes to start, because after a crash it first reads its log.
                  startup: { ...isReady, periodSeconds: 2, failureThreshold: 150 },
                  ready: { ...isReady, periodSeconds: 5, timeoutSeconds: 3 },
                  // This probe checks only the process, because a restart does not help a slow Postgres.
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
