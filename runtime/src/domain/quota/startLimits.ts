/**
 * Says how many sessions may be starting at the same time: of all tenants together, and of one tenant. Both numbers follow only
 * from what the rows of the sessions and the Kubernetes API server say now. So a new leader knows them at once, and no number
 * stays low or high because of something long ago. Pure: no I/O.
 *
 * Each start that succeeds raises the limit by 1 for a short time. So while the cluster starts sessions quickly, the limit
 * doubles whenever as many starts have succeeded as the limit allowed. When starts get slower, fewer starts succeed within that
 * short time, and the limit falls by itself. A late start (see `late`) lowers only the limit of its own tenant, and only until
 * this start succeeds, fails or makes progress again.
 */

/**
 * A start that takes more seconds than this is slow. Starts that succeeded, and overloads of the Kubernetes API server,
 * count for this many seconds.
 */
export const quickSeconds = 10;

export interface Starts {
  /** The limit while nothing is known about the starts. At least 1. */
  configured: number;
  /** How many starts at the same time one node bears. 0: the limit never rises above `configured`. */
  perNode: number;
  /** How many nodes can run sessions; 0: unknown, so the limit does not rise. */
  nodes: number;
  /** How many starts of all tenants have succeeded in the last `quickSeconds`. */
  ready: number;
  /** In how many of the last `quickSeconds` the Kubernetes API server was overloaded or did not answer. */
  overloaded: number;
}

/** How many sessions of all tenants may be starting at the same time. At least 1. Each second of overload halves the number. */
export function startLimit({ configured, perNode, nodes, ready, overloaded }: Starts): number {
  const most = Math.max(configured, perNode * nodes);
  return Math.max(1, Math.floor(Math.min(most, configured + ready) / 2 ** overloaded));
}

/** How one tenant's starts go. */
export interface OwnStarts {
  /**
   * How many of the tenant's sessions have been starting for more than 30 s, and make no progress or wait for a node or for
   * help.
   */
  late: number;
  /** How many of the tenant's starts have succeeded in the last `quickSeconds`. */
  ready: number;
}

/**
 * How many sessions of the tenant may be starting at the same time: `limit` if none is late. At least 1, so that a tenant whose
 * starts succeed again is noticed, if `limit` is at least 1.
 */
export function ownLimit(limit: number, { late, ready }: OwnStarts): number {
  if (late === 0) return limit;
  return Math.min(limit, Math.max(1, Math.floor(limit / (1 + late)) + ready));
}
