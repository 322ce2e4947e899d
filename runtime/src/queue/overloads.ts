/**
 * In which seconds the Kubernetes API server was overloaded, as all processes have noticed it. One small key in Redis holds the last
 * of these seconds, by Redis's clock.
 */
import type { Redis } from "ioredis";
import { within } from "../timing/within.ts";

const key = "kubernetes:overloads";

/** How many milliseconds pass at least between two writes of a process. */
const writeMs = 1_000;

/** ARGV: how many seconds are kept. Costs O(1), because the key holds at most so many seconds. */
const noteScript = `
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, now)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[1])`;

/** ARGV: how many seconds are counted. */
const countScript = `
local now = tonumber(redis.call('TIME')[1])
return redis.call('ZCOUNT', KEYS[1], '(' .. (now - ARGV[1]), '+inf')`;

export class Overloads {
  #notedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param seconds for how many seconds an overload counts
   * @param patienceMs how long a reader waits for Redis, in milliseconds
   */
  constructor(
    private readonly redis: Redis,
    private readonly seconds: number,
    private readonly patienceMs = 500,
  ) {}

  /** Notes in the background that the API server is overloaded now. Writes at most once per second. */
  note(): void {
    const now = performance.now();
    if (now - this.#notedAt < writeMs) return;
    this.#notedAt = now;
    this.redis.eval(noteScript, 1, key, this.seconds).catch(() => {}); // the next overload is noted again
  }

  /** In how many of the last `seconds` seconds a process has noted an overload; 0 if Redis does not answer. */
  async count(): Promise<number> {
    const counted = within(this.patienceMs, this.redis.eval(countScript, 1, key, this.seconds));
    return Number(await counted.catch(() => 0));
  }
}
