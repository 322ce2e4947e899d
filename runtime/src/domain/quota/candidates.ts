/** What the plan of starts needs to know about the queued sessions and their tenants. Pure: no I/O. */
import type { Session } from "../session.ts";
import { missingImage } from "../sessionImages.ts";
import type { Tenant } from "../tenants.ts";
import type { Allowance, Candidate } from "./admissionPlan.ts";
import { type Amounts, nothing, quotaOf, sessionAmounts, workspaceAmounts } from "./quantities.ts";

/** A queued session, with the columns that the planner needs. */
export interface QueuedSession
  extends Pick<
    Session,
    "id" | "tenant" | "tier" | "desktop" | "image" | "workspaceMode" | "priority" | "reason" | "version"
  > {
  /** When the session entered the queue, in microseconds since 1970. */
  since: number;
  hasRun: boolean;
  isWarm: boolean;
  /** Whether an earlier planning has stored that the session waits for its tenant's own limits. */
  awaitsRoom: boolean;
  tenantsGeneration: number;
  /**
   * How many seconds Berth waits before it tries again to start the session, because the cluster refused the session's pod or did
   * not answer; null: Berth may start the session now.
   */
  retrySeconds: number | null;
}

export interface Candidates {
  queue: Candidate[];
  /** The limits of the tenants that have candidates. Key: the tenant's name. */
  allowances: Map<string, Allowance>;
  /** Ids of the sessions whose tenant does not exist or has `maxSessions` 0, and that have no `reason` yet. */
  withoutTenant: string[];
}

export function candidatesOf(
  sessions: readonly QueuedSession[],
  tenantOf: (name: string) => Tenant | undefined,
): Candidates {
  const result: Candidates = { queue: [], allowances: new Map(), withoutTenant: [] };
  // A queue has many sessions of few kinds, so the sessions of a kind share the objects of their amounts.
  const kinds = new Map<string, { amounts: Amounts; held: Amounts }>();
  for (const session of sessions) {
    const { id, tier, desktop, image, workspaceMode, hasRun, reason } = session;
    const tenant = tenantOf(session.tenant);
    if (!tenant?.maxSessions) {
      if (reason === null) result.withoutTenant.push(id);
      continue;
    }
    if (!result.allowances.has(tenant.name)) {
      result.allowances.set(tenant.name, { maxSessions: tenant.maxSessions, quota: quotaOf(tenant) });
    }
    const kind = `${tenant.name} ${tier} ${desktop} ${workspaceMode} ${hasRun}`;
    const sizes = kinds.get(kind) ?? {
      amounts: sessionAmounts(session, tenant),
      held: hasRun ? workspaceAmounts(workspaceMode, tenant) : nothing,
    };
    kinds.set(kind, sizes);
    result.queue.push({
      id,
      tenant: tenant.name,
      priority: session.priority,
      since: session.since,
      ...sizes,
      isWarm: session.isWarm,
      unfit: missingImage(tenant, image),
      refused: session.retrySeconds === null ? null : (reason ?? "Waiting for room in the cluster"),
    });
  }
  return result;
}
