/**
 * Who of the waiting sessions may start now, and what the others wait for; pure.
 *
 * The order is fair across tenants, then by priority, then by age. Every start has a turn; a tenant that had one in the last
 * turn has its next in the turn after it, any other in the last one still, and its further sessions one turn later each. So
 * however many one tenant asks for at once, another's single session has at most one of them before it. Within a tenant
 * nobody overtakes: a large session that waits for room is not starved by small ones behind it.
 */
import { type Amounts, add, exceeding } from "../pods/resources.ts";

/** A session in the queue. */
export interface Waiting {
  id: string;
  tenant: string;
  /** Higher first. */
  priority: number;
  /** When it came into the queue, in milliseconds. */
  since: number;
  /** What it will count under the tenant's quota. */
  amounts: Amounts;
  /** The cluster refused it a moment ago, with this reason; null: it did not. */
  refused: string | null;
}

/** What a tenant has up. */
export interface Load {
  /** Sessions that have a pod. */
  sessions: number;
  /** Those of them that are starting and getting on. */
  starting: number;
  used: Amounts;
}

export interface Allowance {
  maxSessions: number;
  quota: Amounts;
}

export interface Plan {
  /** In the order in which they shall start. */
  admitted: { id: string; turn: number }[];
  /** `position` counts those who wait for the same thing before it, and itself. */
  waiting: { id: string; position: number; reason: string }[];
  /** They are larger than all that the tenant has, so that waiting is no use. */
  impossible: { id: string; reason: string }[];
}

export interface Situation {
  queue: Waiting[];
  /** By tenant; none: nothing is up. */
  loads: Map<string, Load>;
  /** By tenant; none: there is no such tenant, and its sessions are left alone. */
  allowances: Map<string, Allowance>;
  /** The last turn that there was, and the tenants that had a start in it. */
  lastTurn: { turn: number; tenants: Set<string> };
  /** How many sessions may be starting at the same time. */
  maxStarting: number;
}

export function plan({ queue, loads, allowances, lastTurn, maxStarting }: Situation): Plan {
  const result: Plan = { admitted: [], waiting: [], impossible: [] };
  const states = new Map<string, Load & { blocked: string | null; waiting: number }>();
  for (const [tenant, load] of loads) states.set(tenant, { ...load, blocked: null, waiting: 0 });
  let starting = [...loads.values()].reduce((sum, load) => sum + load.starting, 0);
  let behind = 0;

  for (const { session, turn } of inOrder(queue, lastTurn)) {
    const allowance = allowances.get(session.tenant);
    if (allowance === undefined) continue;
    const state = states.get(session.tenant) ?? { ...noLoad, blocked: null, waiting: 0 };
    states.set(session.tenant, state);
    const excess = exceeding(session.amounts, allowance.quota);
    if (excess !== undefined) {
      result.impossible.push({ id: session.id, reason: `It needs more than the tenant's whole quota (${excess})` });
      continue;
    }
    state.blocked ??= blocker(session, state, allowance);
    if (state.blocked !== null) {
      state.waiting += 1;
      result.waiting.push({ id: session.id, position: state.waiting, reason: state.blocked });
    } else if (starting >= maxStarting) {
      behind += 1;
      result.waiting.push({ id: session.id, position: behind, reason: "Waiting for its turn to start" });
    } else {
      starting += 1;
      state.sessions += 1;
      state.used = add(state.used, session.amounts);
      result.admitted.push({ id: session.id, turn });
    }
  }
  return result;
}

const noLoad: Load = {
  sessions: 0,
  starting: 0,
  used: { requestsCpu: 0, limitsCpu: 0, requestsMemory: 0, limitsMemory: 0, pods: 0, storage: 0 },
};

function inOrder(queue: Waiting[], last: Situation["lastTurn"]): { session: Waiting; turn: number }[] {
  const byUrgency = (a: Waiting, b: Waiting) => b.priority - a.priority || a.since - b.since || (a.id < b.id ? -1 : 1);
  const turns = new Map<string, number>();
  return [...queue]
    .sort(byUrgency)
    .map((session) => {
      const { tenant } = session;
      const turn = turns.get(tenant) ?? (last.tenants.has(tenant) ? last.turn + 1 : last.turn);
      turns.set(tenant, turn + 1);
      return { session, turn };
    })
    .sort((a, b) => a.turn - b.turn || byUrgency(a.session, b.session));
}

/** What keeps the tenant's next session from starting, if it is the tenant's own doing. */
function blocker(session: Waiting, { sessions, used }: Load, { maxSessions, quota }: Allowance): string | null {
  if (sessions >= maxSessions) return `Waiting for one of the tenant's ${maxSessions} sessions to end`;
  if (session.refused !== null) return session.refused;
  const excess = exceeding(add(used, session.amounts), quota);
  return excess === undefined ? null : `Waiting for room in the tenant's quota (${excess})`;
}
