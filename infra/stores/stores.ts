/** Postgres and Redis: the bundled ones, or external ones that the config names. */
import type * as pulumi from "@pulumi/pulumi";
import type { Config } from "../config/config.ts";
import type { PlatformContext } from "../kubernetes/platform-context.ts";
import { externalConnection, type StoreConnection } from "./connection.ts";
import { Postgres } from "./postgres.ts";
import { PostgresBackup } from "./postgres-backup.ts";
import { Redis } from "./redis.ts";

export interface StoresArgs extends Pick<Config, "postgres" | "redis" | "protectData"> {
  platform: PlatformContext;
  /** The images of the bundled stores, by digest. */
  base: { postgres: pulumi.Input<string>; redis: pulumi.Input<string> };
}

export interface Store {
  connection: StoreConnection;
  /** Resources that must exist before a pod connects to this store (Postgres or Redis). */
  ready: pulumi.Resource[];
}

export function makeStores(args: StoresArgs, opts: pulumi.ComponentResourceOptions): { postgres: Store; redis: Store } {
  return { postgres: makePostgres(args, opts), redis: makeRedis(args, opts) };
}

function makePostgres(
  { platform, base, protectData, postgres: config }: StoresArgs,
  opts: pulumi.ComponentResourceOptions,
): Store {
  if (config.external) {
    const keys = ["host", "port", "database", "user"];
    return { connection: externalConnection("POSTGRES", keys, config.external), ready: [] };
  }
  const shared = { platform, protectData, image: base.postgres };
  const postgres = new Postgres("postgres", { ...shared, ...config }, opts);
  const { connection } = postgres;
  new PostgresBackup(
    "postgres-backup",
    { ...shared, connection, databaseVolume: config.volume, ...config.backup },
    opts,
  );
  return { connection, ready: [postgres] };
}

function makeRedis(
  { platform, base, protectData, redis: config }: StoresArgs,
  opts: pulumi.ComponentResourceOptions,
): Store {
  if (config.external) return { connection: externalConnection("REDIS", ["host", "port"], config.external), ready: [] };
  const redis = new Redis("redis", { platform, protectData, image: base.redis, ...config }, opts);
  return { connection: redis.connection, ready: [redis] };
}
