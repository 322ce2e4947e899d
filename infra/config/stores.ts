/** The config of the stores: Postgres with its backups, and Redis. */
import { z } from "zod";
import { storePods } from "./network.ts";
import { resources } from "./resources.ts";
import { cidr, count, port, schedule, subdomain, volume } from "./scalars.ts";

export const protectData = z
  .boolean()
  .default(true)
  .describe(
    "Whether Pulumi refuses to delete the resources that hold data: the platform's namespace, the volumes of Postgres and Redis, and the volume of the dumps.",
  );

const addresses = z.array(
  z.strictObject({
    cidr: cidr.describe("The store's address, for example 10.20.0.5/32."),
    port: port.describe("The store's port."),
  }),
);

/** A store that Berth does not run. */
const external = (keys: string) =>
  z
    .strictObject({
      secret: subdomain.describe(
        `The name of a Secret in the platform's namespace with the connection's keys: ${keys}.`,
      ),
      addresses: addresses
        .default([])
        .describe(
          "The store's addresses, as pods see them. The network policies let Berth's pods reach only these and `pods`.",
        ),
      pods: storePods
        .default([])
        .describe(
          "The store's pods, if the store runs in the same cluster. Some network plugins do not apply address ranges to pods, so name the pods by their labels.",
        ),
    })
    .refine(({ addresses, pods }) => addresses.length + pods.length > 0, {
      error: "has neither `addresses` nor `pods`; name at least one, because without one no pod can reach the store",
    })
    .nullable()
    .default(null);

const passwordSecret = subdomain
  .nullable()
  .default(null)
  .describe(
    "The name of a Secret in the platform's namespace with the key `password`. Null: Berth generates a password.",
  );

const backup = z.strictObject({
  schedule: schedule.default("30 1 * * *").describe("When the database is dumped, as a cron schedule in UTC."),
  checkSchedule: schedule
    .default("30 3 * * *")
    .describe(
      "When the restore check runs, as a cron schedule in UTC. The check restores the newest dump into a temporary Postgres and compares the restored database with the dump's manifest.",
    ),
  keepDays: count.default(14).describe("How many days dumps are kept."),
  keepAtLeast: count
    .min(1, { error: "is below 1" })
    .default(7)
    .describe("How many of the newest dumps are always kept, even if they are older than `keepDays`."),
  volume: volume("20Gi").prefault({}).describe("The volume for the dumps."),
});

export const postgres = z.strictObject({
  volume: volume("10Gi").prefault({}).describe("The database's volume."),
  resources: resources({ requests: { cpu: "250m", memory: "512Mi" }, limits: { cpu: "2", memory: "1Gi" } })
    .prefault({})
    .describe(
      "CPU and memory of Postgres: requests and limits. Postgres uses a quarter of the memory limit for its cache.",
    ),
  maxConnections: count
    .min(20, { error: "is below 20" })
    .default(250)
    .describe(
      "How many connections Postgres accepts. Each pod of API, gateway and worker opens up to 10, or fewer if 10 would be too many at the highest number of pods.",
    ),
  passwordSecret,
  backup: backup.prefault({}).describe("Dumps of the bundled Postgres, and the check that the dumps can be restored."),
  external: external(
    "`host`, `port`, `database`, `user`, `password`, and optionally `tls` (`true` or `false`)",
  ).describe("A Postgres that you run and back up yourself, instead of the bundled one."),
});

export const redis = z.strictObject({
  volume: volume("2Gi").prefault({}).describe("The queue's volume."),
  resources: resources({ requests: { cpu: "100m", memory: "256Mi" }, limits: { cpu: "1", memory: "512Mi" } })
    .prefault({})
    .describe(
      "CPU and memory of Redis: requests and limits. Redis uses half of the memory limit for data. The other half is for the copy of the data that Redis makes when it rewrites its log.",
    ),
  passwordSecret,
  external: external("`host`, `port`, `password`, and optionally `tls` (`true` or `false`)").describe(
    "A Redis that you run, instead of the bundled one. Its maxmemory-policy must be noeviction.",
  ),
});

export type PostgresConfig = z.output<typeof postgres>;
export type BackupConfig = z.output<typeof backup>;
export type RedisConfig = z.output<typeof redis>;
export type ExternalStore = NonNullable<PostgresConfig["external"]>;
