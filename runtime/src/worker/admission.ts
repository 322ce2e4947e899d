/** Lets sessions out of the queue whose turn it is: one process at a time, whoever asks. */
import type { OnModuleDestroy } from "@nestjs/common";
import { sql } from "kysely";
import type { Logger } from "pino";
import type { TenantsFile } from "../config/tenantsFile.ts";
import { type Load, type Plan, plan, type Situation, type Waiting } from "../domain/admissionPlan.ts";
import type { Actor } from "../domain/event.ts";
import { add, nothing, podAmounts, quotaOf, sessionAmounts, workspaceAmounts } from "../domain/quantities.ts";
import type { Session } from "../domain/session.ts";
import { finalStates, podStates } from "../domain/state.ts";
import type { Tenant } from "../domain/tenants.ts";
import type { Tier } from "../domain/tiers.ts";
import type { Database } from "../store/database.ts";
import { secondsInState } from "../store/deadlines.ts";
import { fromRow } from "../store/sessionRow.ts";
import type { SessionStore } from "../store/sessionStore.ts";

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

/** A start whose reason has not changed for so many seconds holds no place: what it waits for may take any time. */
const progressSeconds = 30;

export class Admission implements OnModuleDestroy {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #isEnding = false;

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

  /** No look begins by itself any more. */
  onModuleDestroy(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isEnding = true;
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
      const { loads, stallSeconds } = await loadsOf(database, (name) => tenants.get(name));
      const { admitted, impossible, waiting } = await this.#plan(sessions, loads);
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
      await noteWaits(database, waiting, impossible);
      if (waiting.length > 0) {
        this.#lookAgain([stallSeconds, ...[...sessions.values()].map(({ retrySeconds }) => retrySeconds)]);
      }
    });
  }

  /**
   * Looks again at the earliest of these times, in seconds from now, because nothing else happens then that would make
   * anybody look. One timer in each process; if the process ends, the sweep looks.
   */
  #lookAgain(times: (number | null)[]): void {
    clearTimeout(this.#timer);
    const next = Math.min(...times.filter((time) => time !== null));
    if (next === Number.POSITIVE_INFINITY || this.#isEnding) return;
    this.#timer = setTimeout(() => this.kick(), 1_000 * next + 50).unref();
  }

  async #plan(sessions: Map<string, Queued>, loads: Map<string, Load>): Promise<Plan> {
    const { database, tenants, maxStarting, onChange } = this.options;
    const queue: Waiting[] = [];
    const waiting = new Map<string, Tenant>();
    for (const { session, retrySeconds } of sessions.values()) {
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
        held: session.startedAt === null ? nothing : workspaceAmounts(session.workspaceMode, tenant),
        isWarm: session.warm !== null,
        refused: retrySeconds === null ? null : (session.reason ?? "Waiting for room in the cluster"),
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
  /** The cluster refused it a moment ago, and it may be tried again in so many seconds; null: it was not refused. */
  retrySeconds: number | null;
}

/** The whole queue, which grows with the number of tenants: each has at most its backlog and its warm pools. */
async function queued(database: Database): Promise<Map<string, Queued>> {
  const rows = await database
    .selectFrom("sessions")
    .selectAll()
    .select([
      secondsInState.as("seconds_in_state"),
      sql<number | null>`case when retry_at > now() then extract(epoch from retry_at - now())::float8 end`.as(
        "retry_seconds",
      ),
    ])
    .where("state", "=", "queued")
    .execute();
  return new Map(
    rows.map((row) => [
      row.id,
      { session: fromRow(row), secondsInState: row.seconds_in_state, retrySeconds: row.retry_seconds },
    ]),
  );
}

interface Loads {
  /** By tenant. */
  loads: Map<string, Load>;
  /** In how many seconds the first of the starts that hold a place loses it, unless it gets on; null: none holds one. */
  stallSeconds: number | null;
}

/**
 * What each tenant has up. A suspended session, a resumed one that waits and a kept workspace count with their volume alone.
 * Costs a look at each session that has not ended.
 */
async function loadsOf(database: Database, tenantOf: (name: string) => Tenant | undefined): Promise<Loads> {
  const isUp = sql`state in (${sql.join(podStates)})`;
  const stall = sql`extract(epoch from updated_at - now())::float8 + ${progressSeconds}`;
  const holdsPlace = sql`state = 'starting' and not stalled and ${stall} > 0`;
  const { rows } = await sql<{
    tenant: string;
    tier: Tier;
    up: number;
    starting: number;
    stall_seconds: number | null;
    volumes: number;
  }>`
    select tenant, tier,
      count(*) filter (where ${isUp})::integer as up,
      count(*) filter (where ${holdsPlace})::integer as starting,
      min(${stall}) filter (where ${holdsPlace}) as stall_seconds,
      count(*) filter (
        where workspace_mode = 'persistent' and (state <> 'queued' or started_at is not null))::integer as volumes
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
  const stalls = rows.map(({ stall_seconds }) => stall_seconds).filter((seconds) => seconds !== null);
  return { loads, stallSeconds: stalls.length === 0 ? null : Math.min(...stalls) };
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

/**
 * The place in the line, for people, and whether the tenant's own room is waited for, for its warm pools: neither a change
 * of the session nor a line of its audit trail. What can never have room does not wait for it.
 */
async function noteWaits(database: Database, waiting: Plan["waiting"], impossible: Plan["impossible"]): Promise<void> {
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
