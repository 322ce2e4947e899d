/**
 * Says how many sessions may be starting at the same time now. The leader reads how the starts go from the database, and in which
 * seconds the Kubernetes API server was overloaded from Redis, each time when it plans.
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
  /** In how many of the last `quickSeconds` the Kubernetes API server was overloaded, as any process has noticed it. */
  overloaded: () => Promise<number>;
  /** A monotonic clock in milliseconds. Default: performance.now. */
  clock?: () => number;
}

export class StartLimit {
  /** The latest reading. */
  #read: { atMs: number; nodes: number; overloaded: number; loads: Map<string, Load> } | undefined;

  constructor(private readonly options: StartLimitOptions) {}

  /**
   * Stores the tenants' loads as the latest reading, and returns the limit of all tenants together. The keys of `loads` are
   * the tenants' names.
   */
  async read(loads: Map<string, Load>): Promise<number> {
    const overloaded = await this.options.overloaded();
    this.#read = { atMs: this.#nowMs, nodes: this.options.nodes(), overloaded, loads };
    return this.current();
  }

  /** The limit of all tenants together, by the latest reading. */
  current(): number {
    const { configured, perNode } = this.options;
    let ready = 0;
    for (const load of this.#recent?.loads.values() ?? []) ready += load.ready;
    return startLimit({
      configured,
      perNode,
      nodes: this.#recent?.nodes ?? 0,
      ready,
      overloaded: this.#recent?.overloaded ?? 0,
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
}
