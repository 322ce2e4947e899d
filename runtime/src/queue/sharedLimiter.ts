/** Limits how often something happens, counted in Redis for all processes together. */
import type { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";

export interface SharedLimit {
  /** What is counted, as the first part of the keys in Redis. */
  keyPrefix: string;
  /** How many events a key may have in a window. */
  points: number;
  /** The length of a window in seconds. */
  duration: number;
}

/** Returns the limiter of a limit. A key that has more events is refused from memory until the window ends. */
export const sharedLimiter = (redis: Redis, limit: SharedLimit): RateLimiterRedis =>
  new RateLimiterRedis({ storeClient: redis, inMemoryBlockOnConsumed: limit.points + 1, ...limit });
