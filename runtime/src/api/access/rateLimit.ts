/**
 * Limits how often a key may call. Redis counts the calls of all processes together. While Redis does not answer, calls with
 * a valid key pass uncounted, so that users can work without Redis. Meanwhile each process counts wrong keys itself,
 * because a flood of wrong keys may be what makes Redis slow.
 *
 * The headers are those of the IETF's draft "RateLimit header fields for HTTP": `RateLimit-Policy: "key";q=600;w=60`
 * says 600 calls in 60 seconds, `RateLimit: "key";r=599;t=42` says that 599 are left for the next 42 seconds.
 */
import type { Redis } from "ioredis";
import ipaddr from "ipaddr.js";
import type { Logger } from "pino";
import { RateLimiterMemory, type RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import { sharedLimiter } from "../../queue/sharedLimiter.ts";
import { addressOf } from "../../store/auditTrail.ts";
import { within } from "../../timing/within.ts";
import { Problem } from "../http/problem.ts";
import type { CallerInfo } from "./caller.ts";

const windowSeconds = 60;

/** How many wrong keys may come from one address in a minute. */
const wrongPerMinute = 60;

/** For how many milliseconds after a failure of Redis no call asks Redis, because each call would wait for the answer. */
const pauseMs = 1_000;

/** If fewer calls than this remain, each call waits for Redis, so that the count of all processes together is exact. */
const farFrom = (perMinute: number) => Math.max(50, perMinute / 10);

/** Far from the limit, Redis counts all calls of this many milliseconds in one step, because each step costs much time. */
const togetherMs = 20;

/** The current window of a caller. */
interface Window {
  /** How many calls remained after the last answer of Redis. */
  remaining: number;
  endsAt: number;
  /** The calls that Redis has not counted in `remaining`. */
  uncounted: number;
  /** Those of the uncounted calls that were not sent to Redis yet. */
  unsent: number;
}

export interface Rate {
  headers: { "ratelimit-policy": string; ratelimit: string };
  /** Throws a 429 if this call exceeds the limit. */
  refuse: () => void;
}

export class RateLimit {
  readonly #limiter: RateLimiterRedis;
  readonly #wrong: RateLimiterRedis;
  readonly #wrongHere = new RateLimiterMemory({ points: wrongPerMinute, duration: windowSeconds });
  /** The windows by caller. The window that began first comes first. */
  readonly #windows = new Map<string, Window>();
  #awayUntil = 0;
  #away = false;

  constructor(
    redis: Redis,
    /** How many calls a key may make in a minute. */
    private readonly perMinute: number,
    private readonly logger: Logger,
    /** How many milliseconds Redis may take to answer before a call passes uncounted. */
    private readonly patienceMs = 250,
  ) {
    const limiter = (keyPrefix: string, points: number) =>
      sharedLimiter(redis, { keyPrefix, points, duration: windowSeconds });
    this.#limiter = limiter("rate", perMinute);
    this.#wrong = limiter("wrong", wrongPerMinute);
  }

  /** Counts a call of the caller. Resolves with undefined if Redis does not answer. */
  take(caller: CallerInfo): Promise<Rate | undefined> {
    return this.#soon(caller.role === "admin" ? caller.actor.name : `${caller.tenant.name}:${caller.actor.name}`);
  }

  /** Counts a call with a desktop ticket or a link to a file. The limit is the same as for a key. */
  takeTicket(id: string): Promise<Rate | undefined> {
    return this.#soon(`ticket:${id}`);
  }

  /** Counts a call. Far from the limit, the call does not wait for Redis, and uses the last answer of Redis. */
  async #soon(key: string): Promise<Rate | undefined> {
    const window = this.#windows.get(key);
    if (window === undefined || performance.now() >= window.endsAt) return this.#take(key);
    const remainingPoints = window.remaining - window.uncounted - 1;
    if (remainingPoints < farFrom(this.perMinute)) {
      this.#send(key, window); // Redis counts in this order, so its answer to this call counts the earlier calls too
      return this.#take(key);
    }
    if (window.unsent === 0) setTimeout(() => this.#send(key, window), togetherMs).unref();
    window.unsent += 1;
    window.uncounted += 1;
    return rateOf({ remainingPoints, msBeforeNext: window.endsAt - performance.now() }, false, this.perMinute, "calls");
  }

  /** Sends the unsent calls to Redis. */
  #send(key: string, window: Window): void {
    const calls = window.unsent;
    if (calls === 0) return;
    window.unsent = 0;
    void this.#take(key, { calls }).finally(() => (window.uncounted -= calls));
  }

  /** Keeps the last answer of Redis for a caller until the caller's window ends. */
  #keep(key: string, { remainingPoints: remaining, msBeforeNext }: RateLimiterRes): void {
    const now = performance.now();
    for (const [oldest, { endsAt }] of this.#windows) {
      if (endsAt > now) break;
      this.#windows.delete(oldest);
    }
    const news = { remaining, endsAt: now + msBeforeNext };
    const known = this.#windows.get(key);
    if (known !== undefined) Object.assign(known, news);
    else this.#windows.set(key, { ...news, uncounted: 0, unsent: 0 });
  }

  /**
   * Counts a wrong key, token or ticket from the address. Valid keys are never counted or refused by address, because
   * many users may share one address.
   */
  async takeWrong(address: string): Promise<Rate> {
    const network = networkOf(address);
    const what = "wrong keys from your address";
    const rate = await this.#take(network, { limiter: this.#wrong, points: wrongPerMinute, what });
    if (rate !== undefined) return rate;
    return this.#wrongHere.consume(network).then(
      (state) => rateOf(state, false, wrongPerMinute, what),
      (state: RateLimiterRes) => rateOf(state, true, wrongPerMinute, what),
    );
  }

  async #take(
    key: string,
    { calls = 1, limiter = this.#limiter, points = this.perMinute, what = "calls" } = {},
  ): Promise<Rate | undefined> {
    if (performance.now() < this.#awayUntil) return undefined;
    const rateAfter = (state: RateLimiterRes, exceeded: boolean): Rate => {
      if (limiter === this.#limiter) this.#keep(key, state);
      return rateOf(state, exceeded, points, what);
    };
    try {
      const state = await within(this.patienceMs, limiter.consume(key, calls));
      this.#away = false;
      return rateAfter(state, false);
    } catch (error) {
      if (error instanceof RateLimiterRes) return rateAfter(error, true);
      if (!this.#away) this.logger.warn({ err: error }, "calls are not counted, because Redis does not answer");
      this.#away = true;
      this.#awayUntil = performance.now() + pauseMs;
      return undefined;
    }
  }
}

function rateOf(
  { remainingPoints, msBeforeNext }: Pick<RateLimiterRes, "remainingPoints" | "msBeforeNext">,
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
 * An IPv4 address, or the /64 network of an IPv6 address, because a client can usually use every address of its /64. Also
 * removes the port that some proxies write after the address, because each connection has another port.
 */
export function networkOf(client: string): string {
  const address = addressOf(client);
  if (address === null) return client;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === "ipv4") return parsed.toString();
  return ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/64`).toString();
}
