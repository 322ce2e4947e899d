/** Connections to Redis, which holds nothing that Postgres couldn't give back. */
import { Redis } from "ioredis";
import type { Logger } from "pino";
import type { StoresConfig } from "../config/config.ts";

type RedisConfig = Pick<StoresConfig, "REDIS_HOST" | "REDIS_PORT" | "REDIS_TLS" | "redisPassword">;

/** For calls that shall fail at once while Redis is away, rather than wait for it. */
export function connectRedis(config: RedisConfig, logger: Logger): Redis {
  return connect(config, logger, { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: 5_000 });
}

/** For the worker, whose blocking calls wait for as long as it takes. */
export function connectBlockingRedis(config: RedisConfig, logger: Logger): Redis {
  return connect(config, logger, { maxRetriesPerRequest: null });
}

function connect(config: RedisConfig, logger: Logger, options: object): Redis {
  const redis = new Redis({
    host: config.REDIS_HOST,
    port: config.REDIS_PORT,
    password: config.redisPassword,
    ...(config.REDIS_TLS && { tls: {} }),
    connectTimeout: 3_000,
    ...options,
  });
  let down = false;
  redis.on("error", (error) => {
    if (!down) logger.warn({ err: error }, "redis is away");
    down = true;
  });
  redis.on("ready", () => {
    if (down) logger.info("redis is back");
    down = false;
  });
  return redis;
}
