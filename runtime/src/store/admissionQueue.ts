/** What the planner of starts reads and writes: the queue, the load of each tenant, and the positions in the queue. */
import { sql } from "kysely";
import type { Load, Plan, Situation } from "../domain/quota/admissionPlan.ts";
import { add, nothing, podAmounts, workspaceAmounts } from "../domain/quota/quantities.ts";
import type { Session } from "../domain/session.ts";
import { finalStates, podStates } from "../domain/states/state.ts";
import type { Tenant } from "../domain/tenants.ts";
import type { Tier } from "../domain/tiers.ts";
import type { Database } from "./database.ts";
import { sessionColumns } from "./sessionColumns.ts";

/**
 * A starting session whose reason has not changed for this many seconds loses its start slot, because the session may
 * have to wait for a long time, for example for a new node.
 */
const progressSeconds = 30;

/**
 * Runs the work as soon as no other process runs such work. Two planners at the same time would each fill the same free
 * start slots.
 */
export async function oneAtATime(database: Database, work: () => Promise<void>): Promise<void> {
  await database.transaction().execute(async (locked) => {
    await sql`select pg_advisory_xact_lock(hashtext('admission'))`.execute(locked);
    await work();
  });
}

export interface QueuedSession {
  session: Session;
  /**
   * In how many seconds the session may be tried again, because the cluster refused the session or did not answer; null:
   * the session may be tried now.
   */
  retrySeconds: number | null;
}

/** The whole queue. For each tenant, the backlog limit and the sizes of the warm pools limit its length. */
export async function queuedSessions(database: Database): Promise<Map<string, QueuedSession>> {
  const rows = await database
    .selectFrom("sessions")
    .select(sessionColumns)
    .select(
      sql<number | null>`case when retry_at > now() then extract(epoch from retry_at - now())::float8 end`.as(
        "retrySeconds",
      ),
    )
    .where("state", "=", "queued")
    .execute();
  return new Map(rows.map(({ retrySeconds, ...session }) => [session.id, { session, retrySeconds }]));
}

export interface Loads {
  /** The load of each tenant, by the tenant's name. */
  loads: Map<string, Load>;
  /**
   * In how many seconds the next starting session loses its start slot if it makes no progress; null: no session holds
   * a slot.
   */
  stallSeconds: number | null;
}

/**
 * The load of each tenant. Of suspended sessions, resumed sessions in the queue and kept workspaces, only the volumes
 * count. The query reads each session that has not ended or whose workspace is kept.
 */
export async function loadsOf(database: Database, tenantOf: (name: string) => Tenant | undefined): Promise<Loads> {
  const isUp = sql`state in (${sql.join(podStates)})`;
  const stall = sql`extract(epoch from updated_at - now())::float8 + ${progressSeconds}`;
  const holdsPlace = sql`state = 'starting' and not stalled and ${stall} > 0`;
  const { rows } = await sql<{
    tenant: string;
    tier: Tier;
    desktop: boolean;
    up: number;
    starting: number;
    stall_seconds: number | null;
    volumes: number;
  }>`
    select tenant, tier, desktop,
      count(*) filter (where ${isUp})::integer as up,
      count(*) filter (where ${holdsPlace})::integer as starting,
      min(${stall}) filter (where ${holdsPlace}) as stall_seconds,
      count(*) filter (
        where workspace_mode = 'persistent' and (state <> 'queued' or started_at is not null))::integer as volumes
    from sessions
    where state not in (${sql.join(finalStates)}) or workspace_until is not null
    group by tenant, tier, desktop`.execute(database);
  const loads = new Map<string, Load>();
  for (const { tenant: name, tier, desktop, up, starting, volumes } of rows) {
    const tenant = tenantOf(name);
    const load = loads.get(name) ?? { sessions: 0, starting: 0, used: nothing };
    const used = add(load.used, podAmounts({ tier, desktop }), up);
    loads.set(name, {
      sessions: load.sessions + up,
      starting: load.starting + starting,
      used: tenant === undefined ? used : add(used, workspaceAmounts("persistent", tenant), volumes),
    });
  }
  const stalls = rows.map(({ stall_seconds }) => stall_seconds).filter((seconds) => seconds !== null);
  return { loads, stallSeconds: stalls.length === 0 ? null : Math.min(...stalls) };
}

export async function lastTurnOf(database: Database): Promise<Situation["lastTurn"]> {
  const rows = await database
    .selectFrom("sessions")
    .select(["turn", "tenant"])
    .distinct()
    .where("turn", "=", (build) => build.selectFrom("sessions").select(({ fn }) => fn.max("turn").as("last")))
    .execute();
  return { turn: rows[0]?.turn ?? 0, tenants: new Set(rows.map(({ tenant }) => tenant)) };
}

/**
 * Stores two values of each queued session: its position, which users see, and whether the session waits for its tenant's
 * own limits, which the warm pools need to know. The session's version and its audit trail do not change. A session that the
 * tenant's present config makes impossible gets no position, and does not count as waiting for its tenant's limits.
 */
export async function noteWaits(
  database: Database,
  waiting: Plan["waiting"],
  impossible: Plan["impossible"],
): Promise<void> {
  const noted = [...waiting, ...impossible.map(({ id }) => ({ id, position: null, for: null }))];
  await sql`
    update sessions set queue_position = noted.position, awaits_room = noted.awaits_room
    from unnest(
      ${noted.map(({ id }) => id)}::uuid[],
      ${noted.map(({ position }) => position)}::integer[],
      ${noted.map((one) => one.for === "room")}::boolean[]) as noted (id, position, awaits_room)
    where sessions.id = noted.id and state = 'queued'
      and (queue_position, sessions.awaits_room) is distinct from (noted.position, noted.awaits_room)`.execute(
    database,
  );
}
