/**
 * Says how many sessions may be starting at the same time now. The leader reads from the database how the starts go, each
 * time when it plans. The class itself remembers only when the Kubernetes API server was overloaded, for 10 s.
 */
import type { Load } from "../domain/quota/admissionPlan.ts";
import { ownLimit, quickSeconds, startLimit } from "../domain/quota/startLimits.ts";

export interface StartLimitOptions {
  /** How many sessions of all tenants may be starting at the same time while nothing is known about the starts. */
  configured: number;
  /** How many starts at the same time one node bears; 0: the limit never rises above `configured`. */
  perNode: number;
  /** How many nodes can run sessions; 0: unknown. Called at each reading. */
  nodes: () => number;
  /** A monotonic clock in milliseconds. Default: performance.now. */
  clock?: () => number;
}

export class StartLimit {
  /** The seconds of the clock in which the Kubernetes API server was overloaded. At most `quickSeconds` of them. */
  readonly #overloaded = new Set<number>();
  /** The latest reading. */
  #read: { atMs: number; nodes: number; loads: Map<string, Load> } | undefined;

  constructor(private readonly options: StartLimitOptions) {}

  /**
   * Must be called for each answer of the Kubernetes API server: a refusal because of overload, or no answer in time,
   * lowers the limit for some seconds.
   * @param code the HTTP status of the answer; 0: there was no answer
   */
  noteAnswer(code: number): void {
    if (code === 429 || code === 504 || code === 0) this.#overloaded.add(Math.floor(this.#nowMs / 1_000));
    this.#forget();
  }

  /**
   * Stores the tenants' loads as the latest reading, and returns the limit of all tenants together. The keys of `loads` are
   * the tenants' names.
   */
  read(loads: Map<string, Load>): number {
    this.#read = { atMs: this.#nowMs, nodes: this.options.nodes(), loads };
    return this.current();
  }

  /** The limit of all tenants together, by the latest reading. */
  current(): number {
    const { configured, perNode } = this.options;
    this.#forget();
    let ready = 0;
    for (const load of this.#recent?.loads.values() ?? []) ready += load.ready;
    return startLimit({
      configured,
      perNode,
      nodes: this.#recent?.nodes ?? 0,
      ready,
      overloaded: this.#overloaded.size,
    });
  }

  /** The lower limits of the tenants whose starts hang, by the latest reading. Key: the tenant's name. */
  slowed(): Map<string, number> {
    const limit = this.current();
    const late = [...(this.#recent?.loads ?? [])].filter(([, load]) => load.late > 0);
    return new Map(late.map(([tenant, load]) => [tenant, ownLimit(limit, load)]));
  }

  /** The latest reading, unless it is older than `quickSeconds`. Without queued sessions, the planner makes no new readings. */
  get #recent() {
    return this.#read !== undefined && this.#nowMs - this.#read.atMs < 1_000 * quickSeconds ? this.#read : undefined;
  }

  get #nowMs(): number {
    return (this.options.clock ?? (() => performance.now()))();
  }

  #forget(): void {
    const oldest = Math.floor(this.#nowMs / 1_000) - quickSeconds;
    for (const second of this.#overloaded) if (second <= oldest) this.#overloaded.delete(second);
  }
}
