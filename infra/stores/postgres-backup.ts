import { readdirSync, readFileSync } from "node:fs";
import type { types } from "@pulumi/kubernetes";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { VolumeConfig } from "../config/scalars.ts";
import type { BackupConfig } from "../config/stores.ts";
import { contentName } from "../kubernetes/content-name.ts";
import { labels } from "../kubernetes/labels.ts";
import { dataOptions } from "../kubernetes/protect.ts";
import { withScratch } from "../kubernetes/scratch.ts";
import { containerSecurity, podSecurity } from "../kubernetes/security.ts";
import { volumeClaimSpec } from "../kubernetes/volume-claim.ts";
import type { StoreConnection } from "./connection.ts";
import { postgresUid } from "./postgres.ts";

export interface PostgresBackupArgs extends BackupConfig {
  /** The platform's namespace. */
  namespace: pulumi.Input<string>;
  /** Postgres 15 by digest, the same as the server's: its own pg_dump and pg_restore. */
  image: pulumi.Input<string>;
  /** How the server is reached. */
  connection: StoreConnection;
  /** The database's volume; the restore check takes one like it. */
  databaseVolume: VolumeConfig;
  /** Whether the dumps' volume is protected from deletion. */
  protectData: boolean;
}

const scripts = new URL("./postgres-backup/", import.meta.url);
const scriptsDir = "/scripts";
const backupsDir = "/backups";
const passwordDir = "/etc/postgres";

/** The scripts of the jobs, by file name. */
const scriptFiles = Object.fromEntries(
  readdirSync(scripts)
    .filter((name) => /\.(sh|sql)$/.test(name))
    .sort()
    .map((name) => [name, readFileSync(new URL(name, scripts), "utf8")]),
);

/**
 * Dumps of the bundled Postgres on a volume of their own, and three jobs: `postgres-dump` each night, `postgres-restore-check`
 * after it, and `postgres-restore`, which never runs by itself (docs/backup.md).
 */
export class PostgresBackup extends pulumi.ComponentResource {
  constructor(name: string, args: PostgresBackupArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:PostgresBackup", name, {}, opts);
    const parent = { parent: this };
    const { namespace, connection } = args;
    const meta = (objectName: pulumi.Input<string>) => ({ name: objectName, namespace, labels: labels("backup") });

    const scriptsMap = new k8s.core.v1.ConfigMap(
      `${name}-scripts`,
      { metadata: meta(contentName("postgres-backup-scripts", scriptFiles)), immutable: true, data: scriptFiles },
      parent,
    );
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      `${name}-volume`,
      { metadata: meta("postgres-backups"), spec: volumeClaimSpec(args.volume) },
      { ...parent, ...dataOptions(args.protectData) },
    );

    /** A job that runs one of the scripts; what it may write is the volume of the dumps (unless `reads`), /tmp, and its own. */
    const job = (
      jobName: string,
      script: string,
      schedule: Partial<types.input.batch.v1.CronJobSpec> & { schedule: string },
      own: { env?: types.input.core.v1.EnvVar[]; reads?: boolean; scratch?: types.input.core.v1.Volume } = {},
    ) =>
      new k8s.batch.v1.CronJob(
        jobName,
        {
          metadata: meta(jobName),
          spec: {
            timeZone: "Etc/UTC",
            concurrencyPolicy: "Forbid",
            // A start that was missed for so long is left to the next night.
            startingDeadlineSeconds: 3600,
            // The check's volume stays as long as its Job does.
            successfulJobsHistoryLimit: 1,
            failedJobsHistoryLimit: 1,
            ...schedule,
            jobTemplate: {
              metadata: { labels: labels("backup") },
              spec: {
                backoffLimit: 2,
                activeDeadlineSeconds: 4 * 3600,
                template: {
                  metadata: { labels: labels("backup") },
                  spec: {
                    restartPolicy: "Never",
                    automountServiceAccountToken: false,
                    enableServiceLinks: false,
                    securityContext: podSecurity(postgresUid),
                    containers: [
                      {
                        name: jobName,
                        image: args.image,
                        command: ["bash", `${scriptsDir}/${script}`],
                        env: [
                          ...Object.entries(connection.variables).map(([variable, value]) => ({
                            name: variable.replace("POSTGRES_", "PG"),
                            value,
                          })),
                          { name: "PASSWORD_FILE", value: `${passwordDir}/password` },
                          { name: "SCRIPTS", value: scriptsDir },
                          { name: "BACKUPS", value: backupsDir },
                          ...(own.env ?? []),
                        ],
                        resources: withScratch({
                          requests: { cpu: "50m", memory: "64Mi" },
                          limits: { cpu: "1", memory: "512Mi" },
                        }),
                        securityContext: containerSecurity,
                        volumeMounts: [
                          { name: "scripts", mountPath: scriptsDir, readOnly: true },
                          { name: "password", mountPath: passwordDir, readOnly: true },
                          { name: "backups", mountPath: backupsDir, readOnly: own.reads ?? false },
                          { name: "tmp", mountPath: "/tmp" },
                          ...(own.scratch ? [{ name: own.scratch.name, mountPath: "/scratch" }] : []),
                        ],
                      },
                    ],
                    volumes: [
                      { name: "scripts", configMap: { name: scriptsMap.metadata.name } },
                      {
                        name: "password",
                        secret: {
                          secretName: connection.password.secret,
                          items: [{ key: connection.password.key, path: "password" }],
                          defaultMode: 0o440,
                        },
                      },
                      { name: "backups", persistentVolumeClaim: { claimName: claim.metadata.name } },
                      { name: "tmp", emptyDir: { sizeLimit: "256Mi" } },
                      ...(own.scratch ? [own.scratch] : []),
                    ],
                  },
                },
              },
            },
          },
        },
        parent,
      );

    job(
      "postgres-dump",
      "dump.sh",
      { schedule: args.schedule },
      {
        env: [
          { name: "KEEP_DAYS", value: String(args.keepDays) },
          { name: "KEEP_AT_LEAST", value: String(args.keepAtLeast) },
        ],
      },
    );
    job(
      "postgres-restore-check",
      "check.sh",
      { schedule: args.checkSchedule },
      {
        reads: true,
        // As large as the database's, and gone with the pod.
        scratch: {
          name: "scratch",
          ephemeral: {
            volumeClaimTemplate: {
              metadata: { labels: labels("backup") },
              spec: volumeClaimSpec(args.databaseVolume),
            },
          },
        },
      },
    );
    // Never by itself: `npm run restore` makes a Job of it.
    job("postgres-restore", "restore.sh", { schedule: "0 0 31 2 *", suspend: true }, { reads: true });
    this.registerOutputs({});
  }
}
