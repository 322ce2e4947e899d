/**
 * The places of all processes (gateway/places.ts). Each key in Redis holds the ids of the places that are taken, with the times
 * at which their leases end, by Redis's clock. All methods except `release` throw if Redis does not answer.
 */
import type { Redis } from "ioredis";

const leaseSeconds = 60;

/** How many leases one call renews. */
const renewedAtOnce = 500;

/**
 * Takes one place of each key, or no place at all if one key has no place left. ARGV: the place's id, the lease in seconds,
 * the limits. Returns 0 if the script took all places. Otherwise returns the index in KEYS (from 1) of the first key that
 * is full. The time is that of Redis's clock. Costs O(log n) per key with n places taken.
 */
const takeScript = `
local now = tonumber(redis.call('TIME')[1])
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  if redis.call('ZCARD', key) >= tonumber(ARGV[i + 2]) then return i end
end
for _, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + ARGV[2], ARGV[1])
  redis.call('EXPIRE', key, ARGV[2])
end
return 0`;

/** Renews places. KEYS: one key per place. ARGV: the lease in seconds, then the id of each place. */
const renewScript = `
local now = tonumber(redis.call('TIME')[1])
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + ARGV[1], ARGV[i + 1])
  redis.call('EXPIRE', key, ARGV[1])
end`;

export class PlaceLeases {
  constructor(private readonly redis: Redis) {}

  /**
   * Takes one place of each limit, with the same id, for a minute. Takes no place at all if one limit has no place left,
   * and then returns the first such limit.
   */
  async take<L extends { of: string; places: number }>(limits: readonly L[], id: string): Promise<L | undefined> {
    const keys = limits.map(({ of }) => keyOf(of));
    const places = limits.map((limit) => limit.places);
    const full = await this.redis.eval(takeScript, keys.length, ...keys, id, leaseSeconds, ...places);
    return limits[Number(full) - 1];
  }

  /**
   * Renews the places for a minute, and adds those that Redis has lost. `leases`: for each place, the limit's `of` and the
   * place's id.
   */
  async renew(leases: readonly (readonly [of: string, id: string])[]): Promise<void> {
    for (let from = 0; from < leases.length; from += renewedAtOnce) {
      const some = leases.slice(from, from + renewedAtOnce);
      const [keys, ids] = [some.map(([of]) => keyOf(of)), some.map(([, id]) => id)];
      await this.redis.eval(renewScript, keys.length, ...keys, leaseSeconds, ...ids);
    }
  }

  /** Gives a place back. If Redis does not answer, the lease expires by itself. */
  release(of: string, id: string): void {
    this.redis.zrem(keyOf(of), id).catch(() => {});
  }
}

const keyOf = (of: string) => `places:${of}`;
