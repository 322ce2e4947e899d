/** Lets sessions out of the queue whose turn it is: one process at a time, whoever asks. */
import { sql } from "kysely";
import type { Logger } from "pino";
import type { Database } from "../database/database.ts";
import { add, nothing, podAmounts, quotaOf, sessionAmounts, workspaceAmounts } from "../pods/resources.ts";
import { secondsInState } from "../sessions/deadlines.ts";
import { fromRow, type Session } from "../sessions/session.ts";
import type { Actor, SessionStore } from "../sessions/sessionStore.ts";
import { finalStates, podStates } from "../sessions/state.ts";
import type { Tier } from "../sessions/tiers.ts";
import type { Tenant } from "../tenants/tenants.ts";
import type { TenantsFile } from "../tenants/tenantsFile.ts";
import { type Load, type Plan, plan, type Situation, type Waiting } from "./plan.ts";

export interface AdmissionOptions {
  database: Database;
  store: Pick<SessionStore, "apply">;
  tenants: Pick<TenantsFile, "get" | "isBehind">;
  /** How many sessions may be starting at the same time, of all tenants. */
  maxStarting: number;
  /** Called for every session that was let out of the queue, or has to end. */
  onChange: (sessionId: string) => void;
  logger: Logger;
}

const actor: Actor = { name: "worker" };

export class Admission {
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(private readonly options: AdmissionOptions) {}

  /**
   * Looks at the queue as it is after this call. Calls that come while a look runs share the next one. Throws if Postgres
   * can't be asked.
   */
  run(): Promise<void> {
    if (this.#running === undefined) return this.#begin();
    this.#next ??= this.#running.catch(() => {}).then(() => this.#begin());
    return this.#next;
  }

  /** Like `run`, but nobody waits for it and a failure is only logged: the next sweep does the same. */
  kick(): void {
    this.run().catch((error: unknown) =>
      this.options.logger.warn({ err: error }, "admission failed; the sweep tries again"),
    );
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    const turn = this.#turn().finally(() => {
      this.#running = undefined;
    });
    this.#running = turn;
    return turn;
  }

  /** The lock has processes take turns, for two at once would each fill the same free places. */
  async #turn(): Promise<void> {
    const { database, store, tenants, onChange } = this.options;
    await database.transaction().execute(async (locked) => {
      await sql`select pg_advisory_xact_lock(hashtext('admission'))`.execute(locked);
      const sessions = await queued(database);
      if (sessions.size === 0) return;
      const { admitted, impossible, waiting } = await this.#plan(sessions);
      const apply = async (id: string, event: Parameters<SessionStore["apply"]>[1]) => {
        const seen = sessions.get(id)?.session;
        return seen !== undefined && typeof (await store.apply(seen, event, actor)) === "object";
      };
      for (const { id, turn } of admitted) if (await apply(id, { type: "admitted", turn })) onChange(id);
      for (const { id, reason } of impossible) {
        const { session, secondsInState = 0 } = sessions.get(id) ?? {};
        // One that has a workspace waits for the quota to grow; and it may have grown in a file that is still to be read.
        if (session?.startedAt || tenants.isBehind(secondsInState)) await apply(id, { type: "waiting", reason });
        else if (await apply(id, { type: "fail", cause: "rejected", reason })) onChange(id);
      }
      for (const { id, reason } of waiting) await apply(id, { type: "waiting", reason });
      await notePositions(database, waiting);
    });
  }

  async #plan(sessions: Map<string, Queued>): Promise<Plan> {
    const { database, tenants, maxStarting, onChange } = this.options;
    const queue: Waiting[] = [];
    const loads = await loadsOf(database, (name) => tenants.get(name));
    const waiting = new Map<string, Tenant>();
    for (const { session, isRefused } of sessions.values()) {
      const tenant = tenants.get(session.tenant);
      if (!tenant?.maxSessions) {
        onChange(session.id); // whether it ends is not said here
        continue;
      }
      waiting.set(tenant.name, tenant);
      queue.push({
        id: session.id,
        tenant: session.tenant,
        priority: session.priority,
        since: session.stateSince.getTime(),
        amounts: sessionAmounts(session.tier, session.workspaceMode, tenant),
        refused: isRefused ? (session.reason ?? "Waiting for room in the cluster") : null,
      });
    }
    const allowances = new Map(
      [...waiting].map(([name, tenant]) => [name, { maxSessions: tenant.maxSessions, quota: quotaOf(tenant) }]),
    );
    return plan({ queue, loads, allowances, lastTurn: await lastTurnOf(database), maxStarting });
  }
}

interface Queued {
  session: Session;
  secondsInState: number;
  /** The cluster refused it a moment ago. */
  isRefused: boolean;
}

/** What is made ahead is let out only while nobody waits for a session of their own. */
async function queued(database: Database): Promise<Map<string, Queued>> {
  const rows = await database
    .selectFrom("sessions")
    .selectAll()
    .select([secondsInState.as("seconds_in_state"), sql<boolean>`coalesce(retry_at > now(), false)`.as("is_refused")])
    .where("state", "=", "queued")
    .where(sql<boolean>`(warm is null or not exists (select from sessions where state = 'queued' and warm is null))`)
    .execute();
  return new Map(
    rows.map((row) => [
      row.id,
      { session: fromRow(row), secondsInState: row.seconds_in_state, isRefused: row.is_refused },
    ]),
  );
}

/** What each tenant has up. A suspended session, and a kept workspace, count with their volume alone. */
async function loadsOf(database: Database, tenantOf: (name: string) => Tenant | undefined): Promise<Map<string, Load>> {
  const isUp = sql`state in (${sql.join(podStates)})`;
  const { rows } = await sql<{ tenant: string; tier: Tier; up: number; starting: number; volumes: number }>`
    select tenant, tier,
      count(*) filter (where ${isUp})::integer as up,
      count(*) filter (where state = 'starting' and not stalled)::integer as starting,
      count(*) filter (where workspace_mode = 'persistent' and state <> 'queued')::integer as volumes
    from sessions
    where state not in (${sql.join(finalStates)}) or workspace_until is not null
    group by tenant, tier`.execute(database);
  const loads = new Map<string, Load>();
  for (const { tenant: name, tier, up, starting, volumes } of rows) {
    const tenant = tenantOf(name);
    const load = loads.get(name) ?? { sessions: 0, starting: 0, used: nothing };
    const used = add(load.used, podAmounts(tier), up);
    loads.set(name, {
      sessions: load.sessions + up,
      starting: load.starting + starting,
      used: tenant === undefined ? used : add(used, workspaceAmounts("persistent", tenant), volumes),
    });
  }
  return loads;
}

async function lastTurnOf(database: Database): Promise<Situation["lastTurn"]> {
  const rows = await database
    .selectFrom("sessions")
    .select(["turn", "tenant"])
    .distinct()
    .where("turn", "=", (build) => build.selectFrom("sessions").select(({ fn }) => fn.max("turn").as("last")))
    .execute();
  return { turn: rows[0]?.turn ?? 0, tenants: new Set(rows.map(({ tenant }) => tenant)) };
}

/** For people only, so it is neither a change of the session nor a line of its audit trail. */
async function notePositions(database: Database, waiting: Plan["waiting"]): Promise<void> {
  await sql`
    update sessions set queue_position = noted.position
    from unnest(${waiting.map(({ id }) => id)}::uuid[], ${waiting.map(({ position }) => position)}::integer[])
      as noted (id, position)
    where sessions.id = noted.id and state = 'queued' and queue_position is distinct from noted.position`.execute(
    database,
  );
}
