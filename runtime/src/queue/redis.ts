/**
 * Connections to Redis. If Redis loses its data, Berth loses only the counts of calls, the notes of which links to ports were
 * used, and the seconds in which the Kubernetes API server was overloaded: the sweep finds the sessions in Postgres and adds
 * their jobs again, and processes store again which connections are open and which places they have taken (gateway/places.ts).
 */
import { Redis } from "ioredis";
import type { Logger } from "pino";
import type { StoresConfig } from "../config/config.ts";

type RedisConfig = Pick<StoresConfig, "REDIS_HOST" | "REDIS_PORT" | "REDIS_TLS" | "redisPassword">;

/** While Redis is not connected, calls of this connection fail immediately. Otherwise a call fails after 5 s without answer. */
export function connectRedis(config: RedisConfig, logger: Logger): Redis {
  return connect(config, logger, { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: 5_000 });
}

/** A connection for the worker, whose blocking calls wait without a time limit. */
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
    if (!down) logger.warn({ err: error }, "Redis does not answer");
    down = true;
  });
  redis.on("ready", () => {
    if (down) logger.info("Redis answers again");
    down = false;
  });
  return redis;
}

/**
 * Calls the listener with each message of the channel. Messages are lost while Redis is unreachable. Uses a connection of its
 * own, which the returned function closes.
 */
export function subscribe(redis: Redis, channel: string, listener: (message: string) => void): () => void {
  const connection = redis.duplicate({
    enableOfflineQueue: true,
    maxRetriesPerRequest: null,
    commandTimeout: undefined,
  });
  connection.on("error", () => {}); // the other connection to Redis logs the error
  connection.on("message", (_channel, message: string) => listener(message));
  connection.subscribe(channel).catch(() => {}); // the connection was closed before the subscription
  return () => connection.disconnect();
}
