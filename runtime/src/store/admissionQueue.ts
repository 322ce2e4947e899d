/** What the planner reads: the queue, the load of each tenant, and the latest turn. */
import { sql } from "kysely";
import type { Load, Situation } from "../domain/quota/admissionPlan.ts";
import type { QueuedSession } from "../domain/quota/candidates.ts";
import { add, nothing, podAmounts, workspaceAmounts } from "../domain/quota/quantities.ts";
import { quickSeconds } from "../domain/quota/startLimits.ts";
import { finalStates, podStates } from "../domain/states/state.ts";
import type { Tenant } from "../domain/tenants.ts";
import type { Tier } from "../domain/tiers.ts";
import type { Database } from "./database.ts";

/**
 * A starting session whose reason has not changed for this many seconds loses its start slot, because the session may
 * have to wait for a long time, for example for a new node.
 */
const progressSeconds = 30;

/**
 * All queued sessions, with few columns and without the tasks. The backlog limit and the sizes of a tenant's warm pools
 * limit how many of the tenant's new sessions are queued.
 */
export async function queuedSessions(database: Database): Promise<QueuedSession[]> {
  return database
    .selectFrom("sessions")
    .select(["id", "tenant", "tier", "desktop", "image", "priority", "reason", "version"])
    .select(["workspace_mode as workspaceMode", "awaits_room as awaitsRoom", "tenants_generation as tenantsGeneration"])
    .select([
      sql<number>`(extract(epoch from state_since) * 1000000)::float8`.as("since"),
      sql<boolean>`started_at is not null`.as("hasRun"),
      sql<boolean>`warm is not null`.as("isWarm"),
      sql<number | null>`case when retry_at > now() then extract(epoch from retry_at - now())::float8 end`.as(
        "retrySeconds",
      ),
    ])
    .where("state", "=", "queued")
    .execute();
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
  const holdsSlot = sql`state = 'starting' and not stalled and ${stall} > 0`;
  const isSlow = sql`${holdsSlot} and state_since < now() - ${quickSeconds} * interval '1 second'`;
  const isLate = sql`state = 'starting' and (stalled or ${stall} <= 0)
    and state_since < now() - ${progressSeconds} * interval '1 second'`;
  // A claim of a warm session sets `created_at` and `state_since` to the same time, and does not count as a start.
  const isReady = sql`state = 'running' and state_since > now() - ${quickSeconds} * interval '1 second'
    and created_at < state_since`;
  const { rows } = await sql<{
    tenant: string;
    tier: Tier;
    desktop: boolean;
    up: number;
    starting: number;
    slow: number;
    late: number;
    ready: number;
    stall_seconds: number | null;
    volumes: number;
  }>`
    select tenant, tier, desktop,
      count(*) filter (where ${isUp})::integer as up,
      count(*) filter (where ${holdsSlot})::integer as starting,
      count(*) filter (where ${isSlow})::integer as slow,
      count(*) filter (where ${isLate})::integer as late,
      count(*) filter (where ${isReady})::integer as ready,
      min(${stall}) filter (where ${holdsSlot}) as stall_seconds,
      count(*) filter (
        where workspace_mode = 'persistent' and (state <> 'queued' or started_at is not null))::integer as volumes
    from sessions
    where state not in (${sql.join(finalStates)}) or workspace_until is not null
    group by tenant, tier, desktop`.execute(database);
  const loads = new Map<string, Load>();
  for (const { tenant: name, tier, desktop, up, starting, slow, late, ready, volumes } of rows) {
    const tenant = tenantOf(name);
    const load = loads.get(name) ?? { sessions: 0, starting: 0, slow: 0, late: 0, ready: 0, used: nothing };
    const used = add(load.used, podAmounts({ tier, desktop }), up);
    loads.set(name, {
      sessions: load.sessions + up,
      starting: load.starting + starting,
      slow: load.slow + slow,
      late: load.late + late,
      ready: load.ready + ready,
      used: tenant === undefined ? used : add(used, workspaceAmounts("persistent", tenant), volumes),
    });
  }
  const stalls = rows.map(({ stall_seconds }) => stall_seconds).filter((seconds) => seconds !== null);
  return { loads, stallSeconds: stalls.length === 0 ? null : Math.min(...stalls) };
}

export interface Basis {
  /** Whether a session is queued. */
  isNeeded: boolean;
  /** How many statements have admitted sessions so far; see QueueCommands.admit. */
  admissions: string;
  lastTurn: Situation["lastTurn"];
}

/** What a planning reads first: whether it is needed, and the admissions before it. */
export async function basisOf(database: Database): Promise<Basis> {
  const { rows } = await sql<{ is_needed: boolean; admissions: string; turn: number | null; tenant: string | null }>`
    select exists (select from sessions where state = 'queued') as is_needed, admissions, last.turn, last.tenant
    from planning left join (
      select distinct turn, tenant from sessions where turn = (select max(turn) from sessions)) as last on true`.execute(
    database,
  );
  const [first] = rows;
  if (first === undefined)
    throw new Error(
      "The table `planning` is empty. The migration 0023_planning inserts its only row: run the migrations, or insert the row.",
    );
  return {
    isNeeded: first.is_needed,
    admissions: first.admissions,
    lastTurn: {
      turn: first.turn ?? 0,
      tenants: new Set(rows.map(({ tenant }) => tenant).filter((tenant) => tenant !== null)),
    },
  };
}
