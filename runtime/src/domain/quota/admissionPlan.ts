/**
 * Plans which queued sessions may start now, and says what each other session waits for. Pure: no I/O.
 *
 * The order is fair across tenants first, then by priority, then by age. Each start belongs to a numbered turn, and each
 * tenant has at most one start in a turn. A tenant that started a session in the latest turn continues in the next turn.
 * Every other tenant still gets a start in the latest turn. So a tenant's first session waits for at most one session of
 * each other tenant, however many sessions the others request at once. Within a tenant no session overtakes another: a
 * large session that waits for quota does not wait longer because of small sessions behind it.
 *
 * The number of simultaneous starts is limited; each start in progress occupies a start slot. First, each tenant that has a
 * session to start gets an equal share of the slots. Then the slots that remain go to any session in the queue. So one
 * tenant can hold all slots while no other tenant has anything to start. If another tenant then requests a session, this session
 * starts immediately, even beyond the limit, so that it does not wait for the first tenant's starts. Slow starts beyond their
 * tenant's share count no longer, so that the other tenant soon gets its whole share. A tenant whose starts hang has a lower limit
 * of its own; see startLimits.ts.
 *
 * A tenant's warm sessions start after the sessions that the tenant's users requested, with one exception, so that the pools are
 * filled although requested sessions never stop waiting for their turn: while at least three requested sessions of the tenant wait,
 * and the tenant has room for all its queued sessions, the tenant's start in every third turn is a warm one. So for the other
 * tenants, a warm session counts at most as much as a requested one. Warm sessions that would exceed their tenant's share of the
 * slots start after all sessions that users of other tenants requested.
 */
import { type Amounts, add, exceeding, nothing } from "./quantities.ts";
import { type OwnStarts, ownLimit } from "./startLimits.ts";

/** A queued session, with the facts by which the plan judges it. */
export interface Candidate {
  id: string;
  tenant: string;
  /** A higher number starts first. */
  priority: number;
  /** When the session entered the queue, as a number that grows with time. */
  since: number;
  /** How much of the tenant's quota the session will use. */
  amounts: Amounts;
  /** The part of `amounts` that the quota counts already: the volume of a resumed session, because the volume exists. */
  held: Amounts;
  /** The session is created in advance and has no owner yet. */
  isWarm: boolean;
  /** The reason for which the cluster refused the session's pod a moment ago; null: the cluster did not refuse it. */
  refused: string | null;
  /** Why the tenant's present config does not allow the session, apart from the session's size; null: the config allows it. */
  unfit: string | null;
}

/** What a tenant has in the cluster now. */
export interface Load extends OwnStarts {
  /** Number of sessions that have a pod. */
  sessions: number;
  /** Number of these sessions that are starting and make progress. */
  starting: number;
  /** Number of these starts that have taken longer than a quick start does. */
  slow: number;
  used: Amounts;
}

export interface Allowance {
  maxSessions: number;
  quota: Amounts;
}

export interface Plan {
  /** The sessions that may start now, in the order of their starts. */
  admitted: { id: string; turn: number }[];
  /**
   * `for`: what the session waits for: room in the tenant's own limits (`room`) or a start slot (`slot`). A session whose
   * pod the cluster refused, and the tenant's sessions behind it, also count as `room`.
   */
  postponed: { id: string; for: "room" | "slot"; reason: string }[];
  /** Sessions that the tenant's present config does not allow, or that are larger than the tenant's whole quota. */
  impossible: { id: string; reason: string }[];
}

export interface Situation {
  queue: Candidate[];
  /** By tenant. A tenant without an entry has nothing in the cluster. */
  loads: Map<string, Load>;
  /** By tenant. A tenant without an entry does not exist, and the plan leaves its sessions out. */
  allowances: Map<string, Allowance>;
  /** The number of the latest turn (see the head of this file), and the tenants that started a session in that turn. */
  lastTurn: { turn: number; tenants: Set<string> };
  /** How many sessions of all tenants may be starting at the same time. */
  maxStarting: number;
}

/**
 * A tenant's load while the plan is made, and the reason why its next session waits for room. Null: no such reason was
 * found.
 */
type TenantLoad = Load & { blocked: string | null };

/** A session with the turn in which it starts. */
interface Turn {
  session: Candidate;
  turn: number;
}

/** Plans the starts in about the time that sorting the queue takes, plus one step for each tenant. */
export function plan({ queue, loads, allowances, lastTurn, maxStarting }: Situation): Plan {
  const result: Plan = { admitted: [], postponed: [], impossible: [] };
  const possible: Candidate[] = [];
  for (const session of queue) {
    const quota = allowances.get(session.tenant)?.quota;
    if (quota === undefined) continue;
    const excess = exceeding(session.amounts, quota);
    const tooLarge = excess === undefined ? null : `The session needs more than the tenant's whole quota (${excess})`;
    const reason = session.unfit ?? tooLarge;
    if (reason === null) possible.push(session);
    else result.impossible.push({ id: session.id, reason });
  }

  const tenantLoads = new Map<string, TenantLoad>();
  for (const { tenant } of possible) tenantLoads.set(tenant, { ...noLoad, blocked: null });
  for (const [tenant, load] of loads) tenantLoads.set(tenant, { ...load, blocked: null });
  const loadOf = ({ tenant }: Candidate) => tenantLoads.get(tenant) as TenantLoad;
  const block = (session: Candidate) => {
    const load = loadOf(session);
    load.blocked ??= blocker(session, load, allowances.get(session.tenant) as Allowance);
    return load.blocked;
  };
  /** Whether the tenant's limits have room for all its queued sessions, and the cluster has refused none of them. */
  const haveRoom = (tenant: string, sessions: Candidate[]) => {
    const load = tenantLoads.get(tenant) as TenantLoad;
    const { maxSessions, quota } = allowances.get(tenant) as Allowance;
    const used = sessions.reduce((sum, { amounts, held }) => add(add(sum, amounts), held, -1), load.used);
    const fit = load.sessions + sessions.length <= maxSessions && exceeding(used, quota) === undefined;
    return fit && sessions.every(({ refused }) => refused === null);
  };
  const order = inOrder(possible, lastTurn, haveRoom);
  const share = shareOf(order, tenantLoads, block, maxStarting);
  /** The slots that are taken, without slow starts beyond their tenant's share. */
  let total = sum(tenantLoads, ({ starting, slow }) => Math.max(Math.min(starting, share), starting - slow));
  /** The slots that are taken, without those that a tenant holds beyond its share. */
  let withinShares = sum(tenantLoads, ({ starting }) => Math.min(starting, share));
  const isBelowShare = (session: Candidate) => loadOf(session).starting < share;
  /**
   * True if the session is not warm, its tenant has no starting session, and the slots that all tenants hold within their
   * shares are fewer than `maxStarting`. Such a session may start at once, even beyond the limit.
   */
  const isFirst = (session: Candidate) =>
    loadOf(session).starting === 0 && !session.isWarm && withinShares < maxStarting;

  const judge = ({ session, turn }: Turn) => {
    const load = loadOf(session);
    const reason = block(session);
    if (reason !== null) {
      result.postponed.push({ id: session.id, for: "room", reason });
    } else if (load.starting >= ownLimit(maxStarting, load)) {
      const why = load.late === 0 ? ownTurn : slowed;
      result.postponed.push({ id: session.id, for: "slot", reason: why });
    } else if (total < maxStarting || (isBelowShare(session) && isFirst(session))) {
      total += 1;
      if (load.starting < share) withinShares += 1;
      load.starting += 1;
      load.sessions += 1;
      load.used = add(add(load.used, session.amounts), session.held, -1);
      result.admitted.push({ id: session.id, turn });
    } else {
      result.postponed.push({ id: session.id, for: "slot", reason: ownTurn });
    }
  };
  const leftOver: Turn[] = [];
  for (const turn of order) {
    if (isBelowShare(turn.session)) judge(turn);
    else leftOver.push(turn);
  }
  for (const isWarm of [false, true]) for (const turn of leftOver) if (turn.session.isWarm === isWarm) judge(turn);
  return result;
}

const noLoad: Load = { sessions: 0, starting: 0, slow: 0, late: 0, ready: 0, used: nothing };

const ownTurn = "Waiting for its turn to start";
const slowed = "Waiting for earlier sessions of the tenant, whose starts take long";

const sum = (tenantLoads: Map<string, TenantLoad>, of: (load: TenantLoad) => number) =>
  [...tenantLoads.values()].reduce((total, load) => total + of(load), 0);

/**
 * Each tenant's share of the start slots: the limit divided by the number of tenants that have a starting session or have
 * room for their next session. The share is rounded up and is at least 1.
 */
function shareOf(
  order: Turn[],
  tenantLoads: Map<string, TenantLoad>,
  block: (session: Candidate) => string | null,
  maxStarting: number,
): number {
  const tenants = new Set([...tenantLoads].filter(([, { starting }]) => starting > 0).map(([tenant]) => tenant));
  const checked = new Set<string>();
  for (const { session } of order) {
    if (checked.has(session.tenant)) continue;
    checked.add(session.tenant);
    if (block(session) === null) tenants.add(session.tenant);
  }
  return Math.max(1, Math.ceil(maxStarting / Math.max(1, tenants.size)));
}

/** While at least this many requested sessions of a tenant wait, one of as many starts of the tenant is a warm one. */
const warmEvery = 3;

const byUrgency = (a: Candidate, b: Candidate) =>
  b.priority - a.priority || a.since - b.since || (a.id < b.id ? -1 : 1);

/** The sessions in the order in which they start if nothing else delays them. */
function inOrder(
  queue: Candidate[],
  last: Situation["lastTurn"],
  haveRoom: (tenant: string, sessions: Candidate[]) => boolean,
): Turn[] {
  const [turns, warmTurns]: [Turn[], Turn[]] = [[], []];
  for (const [tenant, sessions] of Map.groupBy([...queue].sort(byUrgency), (session) => session.tenant)) {
    const requested = sessions.filter(({ isWarm }) => !isWarm);
    const isMixed = warmEvery <= requested.length && requested.length < sessions.length && haveRoom(tenant, sessions);
    const warm = sessions.filter(({ isWarm }) => isWarm).values();
    let turn = last.tenants.has(tenant) ? last.turn + 1 : last.turn;
    for (const [index, session] of requested.entries()) {
      const isWarmTurn = isMixed && (turn + 1) % warmEvery === 0 && requested.length - index >= warmEvery;
      const { value } = isWarmTurn ? warm.next() : {};
      if (value !== undefined) turns.push({ session: value, turn: turn++ });
      turns.push({ session, turn: turn++ });
    }
    for (const session of warm) warmTurns.push({ session, turn: turn++ });
  }
  const inTurn = (a: Turn, b: Turn) =>
    a.turn - b.turn || Number(a.session.isWarm) - Number(b.session.isWarm) || byUrgency(a.session, b.session);
  return [...turns.sort(inTurn), ...warmTurns.sort(inTurn)];
}

/**
 * Why the tenant's own limits, or a refusal of the cluster, delay the tenant's next session; null: neither delays the
 * session.
 */
function blocker(session: Candidate, { sessions, used }: Load, { maxSessions, quota }: Allowance): string | null {
  if (sessions >= maxSessions) return `Waiting for one of the tenant's ${maxSessions} sessions to end`;
  if (session.refused !== null) return session.refused;
  const excess = exceeding(add(add(used, session.amounts), session.held, -1), quota);
  return excess === undefined ? null : `Waiting for room in the tenant's quota (${excess})`;
}
