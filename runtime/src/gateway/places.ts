/**
 * How many WebSockets there may be at the same time, counted in Redis for all processes together. A place is a lease that
 * its process renews, so those of a process that died are free after a minute. While Redis is away each process counts its
 * own; when Redis was emptied, the renewal counts them again.
 */
import { randomUUID } from "node:crypto";
import type { BeforeApplicationShutdown } from "@nestjs/common";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { Problem } from "../api/http/problem.ts";
import { within } from "../timing/within.ts";

/** Something that has so many places. */
export interface Limit {
  /** What is counted, as a part of Redis' key: `session:<id>`. */
  of: string;
  places: number;
  /** What to say when all are taken, for people. */
  refusal: string;
}

const leaseSeconds = 60;
const renewMs = 20_000;

/** After a failure Redis is left alone for so long, so that not every connection waits for it. */
const pauseMs = 1_000;

/** Leases renewed by one call. */
const renewedAtOnce = 500;

/**
 * Takes a place of each key, or of none. ARGV: the place's id, the lease in seconds, the limits. Returns 0, or which key has
 * none left, from 1 on. The clock is Redis' own. Costs O(log n) per key with n places taken.
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

/** Renews the places: KEYS, with the place's id for each in ARGV after the lease in seconds. */
const renewScript = `
local now = tonumber(redis.call('TIME')[1])
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + ARGV[1], ARGV[i + 1])
  redis.call('EXPIRE', key, ARGV[1])
end`;

export class Places implements BeforeApplicationShutdown {
  /** The places that this process has, by what they are of. */
  readonly #own = new Map<string, Set<string>>();
  readonly #timer: NodeJS.Timeout;
  #awayUntil = 0;

  constructor(
    private readonly redis: Redis,
    private readonly logger: Logger,
    /** How long Redis may take before only this process's own places count, in milliseconds. */
    private readonly patienceMs = 250,
  ) {
    this.#timer = setInterval(() => void this.renew(), renewMs).unref();
  }

  /** Takes a place of each; returns what gives them back. Throws a 429 with the refusal of the first that has none left. */
  async take(limits: readonly Limit[]): Promise<() => void> {
    const id = randomUUID();
    for (const limit of limits) if ((this.#own.get(limit.of)?.size ?? 0) >= limit.places) throw refused(limit);
    // Before Redis is asked: of many that come at once, each sees the others.
    for (const { of } of limits) this.#own.set(of, (this.#own.get(of) ?? new Set()).add(id));
    const release = () => this.#release(limits, id);
    const full = await this.#ask(limits, id);
    if (full === undefined) return release;
    release();
    throw refused(full);
  }

  /** Renews all places that this process has. */
  async renew(): Promise<void> {
    const leases = [...this.#own].flatMap(([of, ids]) => [...ids].map((id) => [keyOf(of), id] as const));
    try {
      for (let from = 0; from < leases.length; from += renewedAtOnce) {
        const some = leases.slice(from, from + renewedAtOnce);
        const [keys, ids] = [some.map(([key]) => key), some.map(([, id]) => id)];
        await this.redis.eval(renewScript, keys.length, ...keys, leaseSeconds, ...ids);
      }
    } catch (error) {
      this.logger.warn({ err: error }, "the places of WebSockets are not renewed: redis does not answer");
    }
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  /** The first that has no place left by Redis' count. */
  async #ask(limits: readonly Limit[], id: string): Promise<Limit | undefined> {
    if (performance.now() < this.#awayUntil) return undefined;
    const keys = limits.map(({ of }) => keyOf(of));
    const places = limits.map((limit) => limit.places);
    try {
      const full = await within(
        this.patienceMs,
        this.redis.eval(takeScript, keys.length, ...keys, id, leaseSeconds, ...places),
      );
      return limits[Number(full) - 1];
    } catch (error) {
      this.logger.warn({ err: error }, "each process counts its own WebSockets only: redis does not answer");
      this.#awayUntil = performance.now() + pauseMs;
      return undefined;
    }
  }

  #release(limits: readonly Limit[], id: string): void {
    for (const { of } of limits) {
      const ids = this.#own.get(of);
      ids?.delete(id);
      if (ids?.size === 0) this.#own.delete(of);
      // Without an answer the lease ends by itself.
      this.redis.zrem(keyOf(of), id).catch(() => {});
    }
  }
}

const keyOf = (of: string) => `places:${of}`;

const refused = ({ refusal }: Limit) => new Problem(429, refusal, undefined, 10);
