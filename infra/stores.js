import { Postgres } from "./postgres.ts";
import { PostgresBackup } from "./postgres-backup.ts";
import { Redis } from "./redis.ts";
import { externalConnection } from "./store-connection.ts";
export function makeStores(args, opts) {
    return { postgres: makePostgres(args, opts), redis: makeRedis(args, opts) };
}
function makePostgres({ namespace, base, protectData, postgres: config }, opts) {
    if (config.external) {
        const keys = ["host", "port", "database", "user"];
        return { connection: externalConnection("POSTGRES", keys, config.external), ready: [] };
    }
    const shared = { namespace, protectData, image: base.postgres };
    const postgres = new Postgres("postgres", { ...shared, ...config }, opts);
    const { connection } = postgres;
    new PostgresBackup("postgres-backup", { ...shared, connection, databaseVolume: config.volume, ...config.backup }, opts);
    return { connection, ready: [postgres] };
}
function makeRedis({ namespace, base, protectData, redis: config }, opts) {
    if (config.external)
        return { connection: externalConnection("REDIS", ["host", "port"], config.external), ready: [] };
    const redis = new Redis("redis", { namespace, protectData, image: base.redis, ...config }, opts);
    return { connection: redis.connection, ready: [redis] };
}
