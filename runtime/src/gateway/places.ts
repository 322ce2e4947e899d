/**
 * Limits how many WebSockets are open, and how many queries of metrics over time run, at the same time. A place is a slot
 * for one WebSocket or one query. Redis holds the places of all processes. Each place is a lease, which the process that
 * took the place renews. So the places of a process that died become free after a minute. While Redis does not answer, each
 * process counts only its own places. If Redis has lost its data, the next renewal adds the places again.
 */
import { randomUUID } from "node:crypto";
import type { BeforeApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { Problem } from "../api/http/problem.ts";
import type { PlaceLeases } from "../queue/placeLeases.ts";
import { within } from "../timing/within.ts";

/** A limit on the number of places that are taken at the same time, for example for the WebSockets of one tenant. */
export interface Limit {
  /** What is counted, as a part of the key in Redis: for example `tenant:<name>` or `session:<id>:exec`. */
  of: string;
  places: number;
  /** The message for the user when all places are taken. */
  refusal: string;
}

const renewMs = 20_000;

/**
 * For how many milliseconds after a failure of Redis the process counts only its own places, so that not every client waits
 * for Redis.
 */
const pauseMs = 1_000;

export class Places implements BeforeApplicationShutdown {
  /** The places that this process has taken. Key: `of` of the limit. Value: the ids of the places. */
  readonly #own = new Map<string, Set<string>>();
  readonly #timer: NodeJS.Timeout;
  #awayUntil = 0;

  constructor(
    private readonly leases: PlaceLeases,
    private readonly logger: Logger,
    /** How long to wait for Redis, in milliseconds. After that, only this process's own places count. */
    private readonly patienceMs = 250,
  ) {
    this.#timer = setInterval(() => void this.renew(), renewMs).unref();
  }

  /**
   * Takes one place of each limit and returns a function that gives the places back. Throws a Problem (429) with the
   * refusal of the first limit that has no place left.
   */
  async take(limits: readonly Limit[]): Promise<() => void> {
    const id = randomUUID();
    for (const limit of limits) if ((this.#own.get(limit.of)?.size ?? 0) >= limit.places) throw refused(limit);
    // Counted before Redis is asked, so that connections that arrive at the same time count each other.
    for (const { of } of limits) this.#own.set(of, (this.#own.get(of) ?? new Set()).add(id));
    const release = () => this.#release(limits, id);
    const full = await this.#ask(limits, id);
    if (full === undefined) return release;
    release();
    throw refused(full);
  }

  /** Renews all places that this process holds. */
  async renew(): Promise<void> {
    const own = [...this.#own].flatMap(([of, ids]) => [...ids].map((id) => [of, id] as const));
    try {
      await this.leases.renew(own);
    } catch (error) {
      this.logger.warn({ err: error }, "the counts of WebSockets and queries can't be renewed: Redis does not answer");
    }
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  /** The first limit that has no place left according to Redis. Undefined if all have a place, or if Redis does not answer. */
  async #ask(limits: readonly Limit[], id: string): Promise<Limit | undefined> {
    if (performance.now() < this.#awayUntil) return undefined;
    try {
      return await within(this.patienceMs, this.leases.take(limits, id));
    } catch (error) {
      this.logger.warn({ err: error }, "this process counts only its own WebSockets: Redis does not answer");
      this.#awayUntil = performance.now() + pauseMs;
      return undefined;
    }
  }

  #release(limits: readonly Limit[], id: string): void {
    for (const { of } of limits) {
      const ids = this.#own.get(of);
      ids?.delete(id);
      if (ids?.size === 0) this.#own.delete(of);
      this.leases.release(of, id);
    }
  }
}

const refused = ({ refusal }: Limit) => new Problem(429, refusal, undefined, 10);
