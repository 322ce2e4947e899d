/**
 * Who of the waiting sessions may start now, and what the others wait for; pure.
 *
 * The order is fair across tenants, then by priority, then by age. Every start has a turn; a tenant that had one in the last
 * turn has its next in the turn after it, any other in the last one still, and its further sessions one turn later each. So
 * however many one tenant asks for at once, another's single session has at most one of them before it. Within a tenant
 * nobody overtakes: a large session that waits for room is not starved by small ones behind it.
 *
 * The places for simultaneous starts are shared: each tenant with something to start has first claim to an equal part of
 * them, and what is left over goes to whoever waits. So a tenant may hold all places while nobody else has anything to start.
 * A tenant that comes then, with nothing starting, gets its first place beyond the limit: it does not wait for the others.
 *
 * Warm sessions come after all sessions that somebody asked for, within their own tenant's part of the places.
 */
import { type Amounts, add, exceeding, nothing } from "./quantities.ts";

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
  /** The part of it that counts already, because it exists: a resumed session's volume. */
  held: Amounts;
  /** It is made ahead and has no owner yet. */
  isWarm: boolean;
  /** The cluster refused it a moment ago, with this reason; null: it did not. */
  refused: string | null;
  /** Why it can't start as long as the tenant's config is as it is, its size aside; null: it can. */
  unfit: string | null;
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
  /**
   * `for`: the tenant's own room, or a place among the starts of all tenants. `position` counts those who wait for the same
   * thing before it, and itself.
   */
  waiting: { id: string; for: "room" | "place"; position: number; reason: string }[];
  /** They are larger than all that the tenant has, or unfit, so that waiting is no use. */
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

/** A tenant while its sessions are planned. */
type State = Load & { blocked: string | null; waiting: number };

/** A session with its place in the order. */
interface Turn {
  session: Waiting;
  turn: number;
}

/** Costs as much as sorting the queue; while all places are taken, each session of a tenant without one costs all tenants. */
export function plan({ queue, loads, allowances, lastTurn, maxStarting }: Situation): Plan {
  const result: Plan = { admitted: [], waiting: [], impossible: [] };
  const possible: Waiting[] = [];
  for (const session of queue) {
    const quota = allowances.get(session.tenant)?.quota;
    if (quota === undefined) continue;
    const excess = exceeding(session.amounts, quota);
    const tooLarge = excess === undefined ? null : `It needs more than the tenant's whole quota (${excess})`;
    const reason = session.unfit ?? tooLarge;
    if (reason === null) possible.push(session);
    else result.impossible.push({ id: session.id, reason });
  }

  const states = new Map<string, State>();
  for (const { tenant } of possible) states.set(tenant, { ...noLoad, blocked: null, waiting: 0 });
  for (const [tenant, load] of loads) states.set(tenant, { ...load, blocked: null, waiting: 0 });
  const stateOf = ({ tenant }: Waiting) => states.get(tenant) as State;
  const block = (session: Waiting) => {
    const state = stateOf(session);
    state.blocked ??= blocker(session, state, allowances.get(session.tenant) as Allowance);
    return state.blocked;
  };
  const order = inOrder(possible, lastTurn);
  const share = shareOf(order, states, block, maxStarting);
  let total = sum(states, ({ starting }) => starting);
  const hasFirstClaim = (session: Waiting) => stateOf(session).starting < share;
  /** Others hold more than their part, so the tenant's first start need not wait for theirs. */
  const isFirst = (session: Waiting) =>
    stateOf(session).starting === 0 &&
    !session.isWarm &&
    sum(states, ({ starting }) => Math.min(starting, share)) < maxStarting;

  const placeless: Waiting[] = [];
  const judge = ({ session, turn }: Turn) => {
    const state = stateOf(session);
    const reason = block(session);
    if (reason !== null) {
      state.waiting += 1;
      result.waiting.push({ id: session.id, for: "room", position: state.waiting, reason });
    } else if (total < maxStarting || (hasFirstClaim(session) && isFirst(session))) {
      total += 1;
      state.starting += 1;
      state.sessions += 1;
      state.used = add(add(state.used, session.amounts), session.held, -1);
      result.admitted.push({ id: session.id, turn });
    } else placeless.push(session);
  };
  const leftOver: Turn[] = [];
  for (const turn of order) {
    if (hasFirstClaim(turn.session)) judge(turn);
    else leftOver.push(turn);
  }
  for (const turn of leftOver) judge(turn);

  // Nobody sees the warm ones, so they take no number in the line.
  for (const [index, { id }] of warmLast(placeless, (session) => session).entries()) {
    result.waiting.push({ id, for: "place", position: index + 1, reason: "Waiting for its turn to start" });
  }
  return result;
}

const noLoad: Load = { sessions: 0, starting: 0, used: nothing };

const sum = (states: Map<string, State>, of: (state: State) => number) =>
  [...states.values()].reduce((total, state) => total + of(state), 0);

/** Each tenant's part of the places: of all tenants that have something starting, or a next session that has room. */
function shareOf(
  order: Turn[],
  states: Map<string, State>,
  block: (session: Waiting) => string | null,
  maxStarting: number,
): number {
  const tenants = new Set([...states].filter(([, { starting }]) => starting > 0).map(([tenant]) => tenant));
  const seen = new Set<string>();
  for (const { session } of order) {
    if (seen.has(session.tenant)) continue;
    seen.add(session.tenant);
    if (block(session) === null) tenants.add(session.tenant);
  }
  return Math.max(1, Math.ceil(maxStarting / Math.max(1, tenants.size)));
}

function inOrder(queue: Waiting[], last: Situation["lastTurn"]): Turn[] {
  const byUrgency = (a: Waiting, b: Waiting) => b.priority - a.priority || a.since - b.since || (a.id < b.id ? -1 : 1);
  const turns = new Map<string, number>();
  const order = warmLast([...queue].sort(byUrgency), (session) => session)
    .map((session) => {
      const { tenant } = session;
      const turn = turns.get(tenant) ?? (last.tenants.has(tenant) ? last.turn + 1 : last.turn);
      turns.set(tenant, turn + 1);
      return { session, turn };
    })
    .sort((a, b) => a.turn - b.turn || byUrgency(a.session, b.session));
  return warmLast(order, ({ session }) => session);
}

function warmLast<T>(all: T[], sessionOf: (one: T) => Waiting): T[] {
  const isWarm = (one: T) => sessionOf(one).isWarm;
  return [...all.filter((one) => !isWarm(one)), ...all.filter(isWarm)];
}

/** What keeps the tenant's next session from starting, if it is the tenant's own doing. */
function blocker(session: Waiting, { sessions, used }: Load, { maxSessions, quota }: Allowance): string | null {
  if (sessions >= maxSessions) return `Waiting for one of the tenant's ${maxSessions} sessions to end`;
  if (session.refused !== null) return session.refused;
  const excess = exceeding(add(add(used, session.amounts), session.held, -1), quota);
  return excess === undefined ? null : `Waiting for room in the tenant's quota (${excess})`;
}
