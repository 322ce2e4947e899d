/**
 * How often a key may call, counted in Redis for all processes together. Redis is no judge of who may work: while it is
 * away, calls go through. Wrong keys don't: each process counts its own then, because a flood of them makes Redis late.
 *
 * The headers are those of the IETF's draft "RateLimit header fields for HTTP": `RateLimit-Policy: "key";q=600;w=60` says
 * 600 calls in 60 seconds, `RateLimit: "key";r=599;t=42` that 599 are left for the next 42 seconds.
 */
import type { Redis } from "ioredis";
import ipaddr from "ipaddr.js";
import type { Logger } from "pino";
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import { addressOf } from "../../store/auditTrail.ts";
import { within } from "../../timing/within.ts";
import { Problem } from "../http/problem.ts";
import type { CallerInfo } from "./caller.ts";

const windowSeconds = 60;

/** Wrong keys that may come from one address in a minute. */
const wrongPerMinute = 60;

/** After a failure Redis is left alone for so long, so that not every call waits for it. */
const pauseMs = 1_000;

export interface Rate {
  headers: { "ratelimit-policy": string; ratelimit: string };
  /** Throws a 429 if this call was one too many. */
  refuse: () => void;
}

export class RateLimit {
  readonly #limiter: RateLimiterRedis;
  readonly #wrong: RateLimiterRedis;
  readonly #wrongHere = new RateLimiterMemory({ points: wrongPerMinute, duration: windowSeconds });
  #awayUntil = 0;
  #away = false;

  constructor(
    redis: Redis,
    /** Calls that a key may make in a minute. */
    private readonly perMinute: number,
    private readonly logger: Logger,
    /** How long Redis may take before a call goes through uncounted, in milliseconds. */
    private readonly patienceMs = 250,
  ) {
    const limiter = (keyPrefix: string, points: number) =>
      new RateLimiterRedis({
        storeClient: redis,
        points,
        duration: windowSeconds,
        keyPrefix,
        // Who is over the limit is refused from memory until the window ends.
        inMemoryBlockOnConsumed: points + 1,
      });
    this.#limiter = limiter("rate", perMinute);
    this.#wrong = limiter("wrong", wrongPerMinute);
  }

  /** Counts the caller's call. Undefined if Redis doesn't answer. */
  take(caller: CallerInfo): Promise<Rate | undefined> {
    return this.#take(caller.role === "admin" ? caller.actor.name : `${caller.tenant.name}:${caller.actor.name}`);
  }

  /** Counts a desktop that is opened with the ticket; as often as a key may call. */
  takeTicket(id: string): Promise<Rate | undefined> {
    return this.#take(`ticket:${id}`);
  }

  /**
   * Counts a wrong key, token or ticket that came from the address. Right ones are never counted or refused by the address,
   * because many users may share one.
   */
  async takeWrong(address: string): Promise<Rate> {
    const network = networkOf(address);
    const what = "wrong keys from your address";
    const rate = await this.#take(network, this.#wrong, wrongPerMinute, what);
    if (rate !== undefined) return rate;
    return this.#wrongHere.consume(network).then(
      (state) => rateOf(state, false, wrongPerMinute, what),
      (state: RateLimiterRes) => rateOf(state, true, wrongPerMinute, what),
    );
  }

  async #take(
    key: string,
    limiter = this.#limiter,
    points = this.perMinute,
    what = "calls",
  ): Promise<Rate | undefined> {
    if (performance.now() < this.#awayUntil) return undefined;
    try {
      const state = await within(this.patienceMs, limiter.consume(key));
      this.#away = false;
      return rateOf(state, false, points, what);
    } catch (error) {
      if (error instanceof RateLimiterRes) return rateOf(error, true, points, what);
      if (!this.#away) this.logger.warn({ err: error }, "calls are not counted: redis does not answer");
      this.#away = true;
      this.#awayUntil = performance.now() + pauseMs;
      return undefined;
    }
  }
}

function rateOf(
  { remainingPoints, msBeforeNext }: RateLimiterRes,
  exceeded: boolean,
  points: number,
  what: string,
): Rate {
  const seconds = Math.max(1, Math.ceil(msBeforeNext / 1000));
  return {
    headers: {
      "ratelimit-policy": `"key";q=${points};w=${windowSeconds}`,
      ratelimit: `"key";r=${exceeded ? 0 : remainingPoints};t=${seconds}`,
    },
    refuse: () => {
      if (!exceeded) return;
      throw new Problem(429, `More than ${points} ${what} in a minute. Wait ${seconds} s.`, undefined, seconds);
    },
  };
}

/**
 * An IPv4 address, or the /64 of an IPv6 one: whoever has one address of that has them all. Without the port that some proxies
 * write behind it, because each connection has another.
 */
export function networkOf(client: string): string {
  const address = addressOf(client);
  if (address === null) return client;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === "ipv4") return parsed.toString();
  return ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/64`).toString();
}
