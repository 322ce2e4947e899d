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
  /**
   * The image of Postgres 15 by digest. The backup uses the database server's image, so that pg_dump and pg_restore have the
   * version of the server.
   */
  image: pulumi.Input<string>;
  /** The connection to the server. */
  connection: StoreConnection;
  /** The size and class of the database's volume. The restore check uses a volume of the same size and class. */
  databaseVolume: VolumeConfig;
  /** Whether the dumps' volume is protected from deletion. */
  protectData: boolean;
}

const scripts = new URL("./postgres-backup/", import.meta.url);
const scriptsDir = "/scripts";
const backupsDir = "/backups";
const passwordDir = "/etc/postgres";

/** The content of the jobs' scripts, by file name. */
const scriptFiles = Object.fromEntries(
  readdirSync(scripts)
    .filter((name) => /\.(sh|sql)$/.test(name))
    .sort()
    .map((name) => [name, readFileSync(new URL(name, scripts), "utf8")]),
);

/**
 * Backups of the bundled Postgres: a volume for the dumps and three CronJobs. By default, `postgres-dump` runs each night, and
 * `postgres-restore-check` runs later in the night. `postgres-restore` runs only if somebody starts a Job from it
 * (docs/backup.md).
 */
export class PostgresBackup extends pulumi.ComponentResource {
  /** Name of the dumps' claim. */
  readonly claim: pulumi.Output<string>;

  constructor(name: string, args: PostgresBackupArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:PostgresBackup", name, {}, opts);
    const parent = { parent: this };
    const { platform } = args;
    const { namespace } = platform;
    const metadata = (objectName: string) => ({ name: objectName, namespace, labels: labels("backup") });

    const scriptsMap = platform.generations.configMap(
      `${name}-scripts`,
      { namespace, name: `${name}-scripts`, labels: labels("backup"), data: scriptFiles },
      parent,
    );
    const claim = new k8s.core.v1.PersistentVolumeClaim(
      `${name}-volume`,
      { metadata: metadata("postgres-backups"), spec: volumeClaimSpec(args.volume) },
      { ...parent, ...dataOptions(args.protectData) },
    );
    this.claim = claim.metadata.name;
    const volumes = { scripts: scriptsMap, backups: this.claim };
    for (const job of jobs(args))
      new k8s.batch.v1.CronJob(
        `${name}-${job.name}`,
        { metadata: metadata(objectName(job)), spec: cronJobSpec(job, args, volumes) },
        parent,
      );
    this.registerOutputs({ claim: this.claim });
  }
}

/** One of the three CronJobs. */
interface Job {
  /** What the job does. */
  name: "dump" | "restore" | "restore-check";
  /** The file name of the script that the job runs. */
  script: string;
  schedule: string;
  /** Whether the CronJob never starts the job by schedule, so that the job runs only when somebody starts it. */
  suspend?: boolean;
  /** The script's environment variables, in addition to the variables of the connection. */
  env?: types.input.core.v1.EnvVar[];
  /** Whether the job only reads the dumps. */
  reads?: boolean;
  /** A temporary volume at /scratch. */
  scratch?: Mount;
}

/** The name of the job's CronJob and of the container in its pod. */
const objectName = ({ name }: Job) => `postgres-${name}`;

const jobs = (args: PostgresBackupArgs): Job[] => [
  {
    name: "dump",
    script: "dump.sh",
    schedule: args.schedule,
    env: [
      { name: "KEEP_DAYS", value: String(args.keepDays) },
      { name: "KEEP_AT_LEAST", value: String(args.keepAtLeast) },
    ],
  },
  {
    name: "restore-check",
    script: "check.sh",
    schedule: args.checkSchedule,
    reads: true,
    // This volume is as large as the database's volume and is deleted with the pod.
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
  // This CronJob never runs by itself. `npm run restore` makes a Job from it.
  { name: "restore", script: "restore.sh", schedule: "0 0 31 2 *", suspend: true, reads: true },
];

/** @param volumes the name of the ConfigMap with the scripts, and the name of the claim for the dumps */
const cronJobSpec = (
  job: Job,
  args: PostgresBackupArgs,
  volumes: Record<"scripts" | "backups", pulumi.Input<string>>,
): types.input.batch.v1.CronJobSpec => ({
  timeZone: "Etc/UTC",
  concurrencyPolicy: "Forbid",
  // If a job can't start within an hour after its scheduled time, Kubernetes skips the job. The next job starts at the next
  // scheduled time.
  startingDeadlineSeconds: 3600,
  // Only the last successful and the last failed Job are kept, because each kept Job of the restore check keeps its ended pod,
  // and the pod keeps the temporary volume.
  successfulJobsHistoryLimit: 1,
  failedJobsHistoryLimit: 1,
  schedule: job.schedule,
  ...(job.suspend && { suspend: true }),
  jobTemplate: {
    metadata: { labels: labels("backup") },
    spec: { backoffLimit: 2, activeDeadlineSeconds: 4 * 3600, template: podOf(job, args, volumes) },
  },
});

/**
 * The pod that runs the job's script. The pod can write to /tmp, to its temporary volume and, unless the job only reads, to the
 * volume of the dumps.
 */
const podOf = (
  job: Job,
  { platform, image, connection }: PostgresBackupArgs,
  volumes: Record<"scripts" | "backups", pulumi.Input<string>>,
): PodTemplate => {
  const { script, env = [], reads = false, scratch } = job;
  return confinedPod({
    component: "backup",
    defaults: platform.pods,
    uid: postgresUid,
    distribution: "stays",
    restartPolicy: "Never",
    containers: [
      {
        name: objectName(job),
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
};
