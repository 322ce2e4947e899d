/** Where Berth keeps its data. */
import { z } from "zod";
import { resources } from "./resources.ts";
import { cidr, count, name, port, schedule, volume } from "./scalars.ts";

export const protectData = z
  .boolean()
  .default(true)
  .describe(
    "Whether Pulumi refuses to delete what holds data: the platform's namespace, the volumes of Postgres and Redis, and the dumps.",
  );

const addresses = z
  .array(
    z.strictObject({
      cidr: cidr.describe("Where it answers, for example 10.20.0.5/32."),
      port: port.describe("Its port."),
    }),
  )
  .min(1, { error: "is empty; name at least one address, or no pod reaches it" });

/** A store that Berth does not run. */
const external = (keys: string) =>
  z
    .strictObject({
      secret: name.describe(
        `Name of a Secret in the namespace berth that says how to reach it, with the keys ${keys}.`,
      ),
      addresses: addresses.describe("Where it answers, as pods see it; the network policies open these and no others."),
    })
    .nullable()
    .default(null);

const passwordSecret = name
  .nullable()
  .default(null)
  .describe("Name of a Secret in the namespace berth with the key `password`; null to generate one.");

const backup = z.strictObject({
  schedule: schedule.default("30 1 * * *").describe("When the database is dumped, as cron in UTC."),
  checkSchedule: schedule
    .default("30 3 * * *")
    .describe("When the newest dump is restored into a scratch Postgres and compared, as cron in UTC."),
  keepDays: count.default(14).describe("Days for which dumps are kept."),
  keepAtLeast: count
    .min(1, { error: "is below 1" })
    .default(7)
    .describe("Newest dumps that are kept whatever their age."),
  volume: volume("20Gi").prefault({}).describe("The dumps' volume."),
});

export const postgres = z.strictObject({
  volume: volume("10Gi").prefault({}).describe("The database's volume."),
  resources: resources({ requests: { cpu: "250m", memory: "512Mi" }, limits: { cpu: "2", memory: "1Gi" } })
    .prefault({})
    .describe("What it asks for and may use. A quarter of the memory limit is Postgres' own cache."),
  maxConnections: count
    .min(20, { error: "is below 20" })
    .default(200)
    .describe(
      "Connections it takes. Each pod of API and worker opens up to 10, or fewer where the most pods that there may be would not fit.",
    ),
  passwordSecret,
  backup: backup.prefault({}).describe("Dumps of the bundled Postgres, and the check that they can be restored."),
  external: external(
    "`host`, `port`, `database`, `user`, `password` and, optional, `tls` (`true` or `false`)",
  ).describe("A Postgres that you run, used in place of the bundled one and backed up by you."),
});

export const redis = z.strictObject({
  volume: volume("2Gi").prefault({}).describe("The queue's volume."),
  resources: resources({ requests: { cpu: "100m", memory: "256Mi" }, limits: { cpu: "1", memory: "512Mi" } })
    .prefault({})
    .describe(
      "What it asks for and may use. Half of the memory limit is for data, the rest for the copy that a rewrite of its log makes.",
    ),
  passwordSecret,
  external: external("`host`, `port`, `password` and, optional, `tls` (`true` or `false`)").describe(
    "A Redis that you run, used in place of the bundled one; its maxmemory-policy must be noeviction.",
  ),
});

export type PostgresConfig = z.output<typeof postgres>;
export type BackupConfig = z.output<typeof backup>;
export type RedisConfig = z.output<typeof redis>;
export type ExternalStore = NonNullable<PostgresConfig["external"]>;
