/** Decides how many warm sessions to create, and which existing warm sessions to end. Pure: no I/O. */

/** A warm session: created in advance, and not yet claimed by a user. */
export interface WarmSession {
  id: string;
  /** The hash of the pod template from which the session was created; see podTemplateHash.ts. */
  templateHash: string;
  /** Whether the session's pod has been silent for so long that no user gets the session. */
  isSilent: boolean;
}

/** The warm sessions of one tenant, image and tier. */
export interface Pool {
  /** How many warm sessions there should be. */
  size: number;
  /** The hash of the pod template that a new warm session would have now. */
  templateHash: string;
  /** The existing warm sessions, oldest first, including those that are still starting. */
  warmSessions: WarmSession[];
  /** Whether a session that a user of the tenant requested waits for room in the tenant's own limits. */
  isAwaited: boolean;
  /** Whether a warm session of the tenant is ending at this moment and so makes room. */
  isEnding: boolean;
}

/**
 * Chooses the warm sessions to end: those with an outdated template, those whose pod is silent, and those beyond the pool's
 * size. While a requested session waits for room in the tenant's own limits, no warm session counts as missing, and one
 * more warm session ends to make room, unless a warm session is ending already.
 */
export function adjust({ size, templateHash, warmSessions, isAwaited, isEnding }: Pool): {
  missing: number;
  end: WarmSession[];
} {
  const current = warmSessions.filter((session) => session.templateHash === templateHash && !session.isSilent);
  const wanted = isAwaited && !isEnding ? Math.min(size, current.length - 1) : size;
  const keep = new Set(current.slice(0, Math.max(0, wanted)));
  const end = warmSessions.filter((session) => !keep.has(session));
  return { missing: isAwaited ? 0 : size - keep.size, end };
}

/** What one pool lacks, and how its latest starts went. */
export interface Want {
  tenant: string;
  /** How many warm sessions the pool lacks. */
  missing: number;
  /** How many warm sessions of the pool do not run yet: they are queued or starting. */
  pending: number;
  /** How many of the pool's warm sessions have failed in the last minute, within ten minutes after their creation. */
  failed: number;
}

/**
 * Says how many warm sessions to create now for each pool, in the order of `wants`.
 *
 * At most twice as many warm sessions as there are start slots (`maxStarting`) are pending at the same time. So every start
 * slot that becomes free finds a session, and the sessions are created as fast as the cluster starts them. Each tenant
 * first gets an equal share, so one tenant's slow starts don't keep another tenant's pools empty. Each failure in the last
 * minute halves the number for its pool, so an image that can't start is not started again without a pause.
 */
export function paced(wants: Want[], maxStarting: number): number[] {
  const most = 2 * maxStarting;
  const pending = new Map<string, number>();
  for (const want of wants) {
    if (want.missing + want.pending === 0) continue;
    pending.set(want.tenant, (pending.get(want.tenant) ?? 0) + want.pending);
  }
  let total = [...pending.values()].reduce((sum, count) => sum + count, 0);
  const share = Math.ceil(most / Math.max(1, pending.size));
  const makes = wants.map(() => 0);
  const give = (free: (ofTenant: number) => number) => {
    for (const [index, { tenant, missing, pending: ofPool, failed }] of wants.entries()) {
      const made = makes[index] ?? 0;
      const ofTenant = pending.get(tenant) ?? 0;
      const bearable = Math.floor(most / 2 ** failed) - ofPool;
      const more = Math.max(0, Math.min(Math.min(missing, bearable) - made, free(ofTenant)));
      makes[index] = made + more;
      pending.set(tenant, ofTenant + more);
      total += more;
    }
  };
  give((ofTenant) => share - ofTenant);
  give(() => most - total);
  return makes;
}
