/** Limits on the requests to ports that one session and one tenant may have at one process. */
import { RateLimiterMemory } from "rate-limiter-flexible";
import { Problem } from "../../api/http/problem.ts";

/** How many requests of a session and of a tenant may be open at the same time at one process. */
const ofSession = 100;
const ofTenant = 300;

/** How many requests of a tenant one process accepts per second. */
const perSecond = 500;

export class Bounds {
  /** The number of open requests by session and by tenant. */
  readonly #open = new Map<string, number>();
  #size = 0;
  readonly #rate: RateLimiterMemory;

  constructor(private readonly limits = { ofSession, ofTenant, perSecond }) {
    this.#rate = new RateLimiterMemory({ points: limits.perSecond, duration: 1 });
  }

  /** The number of open requests of all tenants. */
  get size(): number {
    return this.#size;
  }

  /** Counts a request for the tenant's rate only. Throws a Problem (429) if the rate is too high. */
  async pass(tenant: string): Promise<void> {
    const { perSecond } = this.limits;
    await this.#rate.consume(tenant).catch(() => {
      throw new Problem(429, `The tenant's ports get more than ${perSecond} requests per second.`, undefined, 1);
    });
  }

  /**
   * Counts a request for the tenant's rate, and as open until the returned function is called. Throws a Problem (429) if a
   * limit is reached.
   */
  async take(tenant: string, sessionId: string): Promise<() => void> {
    await this.pass(tenant);
    const { ofSession, ofTenant } = this.limits;
    const keys = [`tenant:${tenant}`, `session:${sessionId}`] as const;
    for (const [key, most, whose] of [
      [keys[0], ofTenant, "the tenant's"],
      [keys[1], ofSession, "the session's"],
    ] as const) {
      if ((this.#open.get(key) ?? 0) < most) continue;
      throw new Problem(429, `${most} requests to ${whose} ports are open. Close some of them.`, undefined, 1);
    }
    for (const key of keys) this.#open.set(key, (this.#open.get(key) ?? 0) + 1);
    this.#size += 1;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#size -= 1;
      for (const key of keys) {
        const left = (this.#open.get(key) ?? 1) - 1;
        if (left > 0) this.#open.set(key, left);
        else this.#open.delete(key);
      }
    };
  }
}
