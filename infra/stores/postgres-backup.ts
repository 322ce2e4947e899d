import { readdirSync, readFileSync } from "node:fs";
import type { types } from "@pulumi/kubernetes";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { VolumeConfig } from "../config/scalars.ts";
import type { BackupConfig } from "../config/stores.ts";
import { labels } from "../kubernetes/labels.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import { confinedPod, type Mount, type PodTemplate, tmp } from "../kubernetes/pod.ts";
import { dataOptions } from "../kubernetes/protect.ts";
import { volumeClaimSpec } from "../kubernetes/volume-claim.ts";
import type { StoreConnection } from "./connection.ts";
import { postgresUid } from "./postgres.ts";

export interface PostgresBackupArgs extends BackupConfig {
  platform: PlatformContext;
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
    const { platform } = args;
    const { namespace } = platform;
    const metadata = (objectName: string) => ({ name: objectName, namespace, labels: labels("backup") });

    const scriptsMap = platform.generations.configMap(
      `${name}-scripts`,
      { namespace, name: "postgres-backup-scripts", labels: labels("backup"), data: scriptFiles },
      parent,
    );
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      `${name}-volume`,
      { metadata: metadata("postgres-backups"), spec: volumeClaimSpec(args.volume) },
      { ...parent, ...dataOptions(args.protectData) },
    );
    const volumes = { scripts: scriptsMap, backups: claim.metadata.name };
    for (const job of jobs(args))
      new k8s.batch.v1.CronJob(
        job.name,
        { metadata: metadata(job.name), spec: cronJobSpec(job, args, volumes) },
        parent,
      );
    this.registerOutputs();
  }
}

/** One of the three jobs. */
interface Job {
  name: string;
  /** The file of the scripts that it runs. */
  script: string;
  schedule: string;
  /** Whether it is started by hand only. */
  suspend?: boolean;
  /** What the script is told beside the connection. */
  env?: types.input.core.v1.EnvVar[];
  /** Whether it only reads the dumps. */
  reads?: boolean;
  /** A volume of its own, at /scratch. */
  scratch?: Mount;
}

const jobs = (args: PostgresBackupArgs): Job[] => [
  {
    name: "postgres-dump",
    script: "dump.sh",
    schedule: args.schedule,
    env: [
      { name: "KEEP_DAYS", value: String(args.keepDays) },
      { name: "KEEP_AT_LEAST", value: String(args.keepAtLeast) },
    ],
  },
  {
    name: "postgres-restore-check",
    script: "check.sh",
    schedule: args.checkSchedule,
    reads: true,
    // As large as the database's, and gone with the pod.
    scratch: {
      name: "scratch",
      path: "/scratch",
      volume: {
        ephemeral: {
          volumeClaimTemplate: {
            metadata: { labels: labels("backup") },
            spec: volumeClaimSpec(args.databaseVolume),
          },
        },
      },
    },
  },
  // Never by itself: `npm run restore` makes a Job of it.
  { name: "postgres-restore", script: "restore.sh", schedule: "0 0 31 2 *", suspend: true, reads: true },
];

/** @param volumes names of the scripts' ConfigMap and of the dumps' claim */
const cronJobSpec = (
  job: Job,
  args: PostgresBackupArgs,
  volumes: Record<"scripts" | "backups", pulumi.Input<string>>,
): types.input.batch.v1.CronJobSpec => ({
  timeZone: "Etc/UTC",
  concurrencyPolicy: "Forbid",
  // A start that was missed for so long is left to the next night.
  startingDeadlineSeconds: 3600,
  // The check's volume stays as long as its Job does.
  successfulJobsHistoryLimit: 1,
  failedJobsHistoryLimit: 1,
  schedule: job.schedule,
  ...(job.suspend && { suspend: true }),
  jobTemplate: {
    metadata: { labels: labels("backup") },
    spec: { backoffLimit: 2, activeDeadlineSeconds: 4 * 3600, template: podOf(job, args, volumes) },
  },
});

/** Runs the job's script. What it may write is the volume of the dumps (unless it only reads), /tmp, and its own. */
const podOf = (
  { name, script, env = [], reads = false, scratch }: Job,
  { platform, image, connection }: PostgresBackupArgs,
  volumes: Record<"scripts" | "backups", pulumi.Input<string>>,
): PodTemplate =>
  confinedPod({
    component: "backup",
    defaults: platform.pods,
    uid: postgresUid,
    restartPolicy: "Never",
    containers: [
      {
        name,
        image,
        command: ["bash", `${scriptsDir}/${script}`],
        env: [
          ...Object.entries(connection.variables).map(([variable, value]) => ({
            name: variable.replace("POSTGRES_", "PG"),
            value,
          })),
          { name: "PASSWORD_FILE", value: `${passwordDir}/password` },
          { name: "SCRIPTS", value: scriptsDir },
          { name: "BACKUPS", value: backupsDir },
          ...env,
        ],
        resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { cpu: "1", memory: "512Mi" } },
      },
    ],
    mounts: [
      { name: "scripts", path: scriptsDir, readOnly: true, volume: { configMap: { name: volumes.scripts } } },
      {
        name: "password",
        path: passwordDir,
        readOnly: true,
        volume: {
          secret: {
            secretName: connection.password.secret,
            items: [{ key: connection.password.key, path: "password" }],
            defaultMode: 0o440,
          },
        },
      },
      {
        name: "backups",
        path: backupsDir,
        readOnly: reads,
        volume: { persistentVolumeClaim: { claimName: volumes.backups } },
      },
      tmp("256Mi"),
      ...(scratch ? [scratch] : []),
    ],
  });
