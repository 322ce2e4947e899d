/** Sessions in Postgres. Every change is one statement that compares the version, sets, and appends to the audit trail. */
import { randomUUID } from "node:crypto";
import { type Expression, type SqlBool, sql } from "kysely";
import type { Actor, LoggedEvent } from "../domain/event.ts";
import type { Session, TimedSession, WorkspaceMode } from "../domain/session.ts";
import { finalStates, isFinal, podStates, type SessionEvent, type State, transition } from "../domain/state.ts";
import type { Tier } from "../domain/tiers.ts";
import { logEvents, newestEventId, readAllEvents, readEvents } from "./auditTrail.ts";
import { changesOf } from "./changes.ts";
import type { Database } from "./database.ts";
import { isIdle, isOverLifetime, secondsInState, secondsOld } from "./deadlines.ts";
import { keptLog } from "./keptLogs.ts";
import type { NewSession } from "./newSession.ts";
import { fromRow } from "./sessionRow.ts";
import { countStuck, type StuckCounts } from "./stuck.ts";
import type { Task, TaskCipher } from "./taskCipher.ts";
import { readUsage, type Usage } from "./usage.ts";
import { claimWarm } from "./warmClaim.ts";

/** A session that was made, or made ahead, or found by its idempotency key; or why there is none. */
export type Created =
  | { session: Session; replayed: boolean }
  /** The idempotency key was used for another request. */
  | "mismatch"
  /** Too many of the tenant's sessions wait already: later. */
  | "backlog";

/** The session as it is now. `refusal` says to people why it was not changed; null: it is as was asked for. */
export interface Changed {
  session: Session;
  refusal: string | null;
}

export interface ListQuery {
  /** At most so many. */
  limit: number;
  /** The id of the session after which to begin. Default: the newest is the first. */
  cursor?: string | undefined;
  /** Default: all. */
  states?: State[] | undefined;
  tier?: Tier | undefined;
  /** Those that have all these. Default: none asked for. */
  labels?: Record<string, string> | undefined;
}

export class SessionStore {
  constructor(
    private readonly database: Database,
    private readonly cipher: TaskCipher,
  ) {}

  /** Makes a session in state `queued`, or gives the one that the tenant made with the same idempotency key before. */
  async create(request: NewSession, actor: Actor): Promise<Created> {
    const { tenant, namespace, idempotency, backlogLimit, task, claim, warm, ...rest } = request;
    const id = randomUUID();
    const requestHash = idempotency === undefined ? null : this.cipher.fingerprint(idempotency.request);
    const encrypt = async (of: string) => (task === undefined ? null : this.cipher.encrypt(of, task));
    if (claim !== undefined) {
      const session = await claimWarm(this.database, { ...request, requestHash }, claim, encrypt, actor);
      if (session !== undefined) return { session, replayed: false };
    }
    const waiting = sql<number>`(
      select count(*) from sessions where tenant = ${tenant} and state = 'queued' and warm is null)`;
    const row = {
      id: sql<string>`${id}::uuid`,
      tenant: sql<string>`${tenant}::text`,
      namespace: sql<string>`${namespace}::text`,
      tier: sql<Tier>`${rest.tier}::text`,
      state: sql<State>`'queued'`,
      labels: sql<string>`${JSON.stringify(rest.labels ?? {})}::jsonb`,
      task: sql<string | null>`${await encrypt(id)}::text`,
      priority: sql<number>`${rest.priority ?? 50}::smallint`,
      idle_timeout_seconds: sql<number | null>`${rest.idleTimeoutSeconds ?? null}::integer`,
      max_lifetime_seconds: sql<number | null>`${rest.maxLifetimeSeconds ?? null}::integer`,
      workspace_mode: sql<WorkspaceMode>`${rest.workspaceMode ?? "persistent"}::text`,
      idempotency_key: sql<string | null>`${idempotency?.key ?? null}::text`,
      request_hash: sql<string | null>`${requestHash}::text`,
      warm: sql<string | null>`${warm ?? null}::text`,
    };
    const columns = Object.keys(row) as (keyof typeof row)[];
    const created = await this.database
      .with("created", (db) =>
        db
          .insertInto("sessions")
          .columns(columns)
          .expression(
            sql<never>`select ${sql.join(columns.map((column) => row[column]))}
              where ${backlogLimit === undefined ? sql`true` : sql`${waiting} < ${backlogLimit}`}`,
          )
          .onConflict((conflict) => conflict.constraint("sessions_idempotency").doNothing())
          .returningAll(),
      )
      .with("logged", logEvents("created", "created", actor))
      .selectFrom("created")
      .selectAll()
      .executeTakeFirst();
    if (created !== undefined) return { session: fromRow(created), replayed: false };

    const earlier = await this.database
      .selectFrom("sessions")
      .selectAll()
      .where("tenant", "=", tenant)
      .where("idempotency_key", "=", idempotency?.key ?? null)
      .executeTakeFirst();
    if (earlier === undefined) return "backlog";
    const same = earlier.request_hash === null || earlier.request_hash === requestHash;
    return same ? { session: fromRow(earlier), replayed: true } : "mismatch";
  }

  /** The session, or undefined. With a tenant: only if it is the tenant's. */
  async find(id: string, tenant?: string): Promise<Session | undefined> {
    let query = this.database.selectFrom("sessions").selectAll().where("id", "=", id);
    if (tenant !== undefined) query = query.where("tenant", "=", tenant).where("warm", "is", null);
    const row = await query.executeTakeFirst();
    return row && fromRow(row);
  }

  /** What the session's agent is to do: nothing if nothing was said. Undefined if there is no such session. */
  async task(id: string): Promise<Task | undefined> {
    const row = await this.database.selectFrom("sessions").select("task").where("id", "=", id).executeTakeFirst();
    if (row === undefined) return undefined;
    return row.task === null ? { command: null, env: {}, secrets: {} } : this.cipher.decrypt(id, row.task);
  }

  /** The session and what the database's clock says of its deadlines; undefined if there is none. */
  async look(id: string): Promise<TimedSession | undefined> {
    const row = await this.database
      .selectFrom("sessions")
      .selectAll()
      .select([
        secondsOld.as("seconds_old"),
        secondsInState.as("in_state"),
        isIdle.as("is_idle"),
        isOverLifetime.as("is_over_lifetime"),
      ])
      .where("id", "=", id)
      .executeTakeFirst();
    return (
      row && {
        session: fromRow(row),
        secondsOld: row.seconds_old,
        secondsInState: row.in_state,
        isIdle: row.is_idle,
        isOverLifetime: row.is_over_lifetime,
      }
    );
  }

  /** The tenant's sessions, newest first. Returns undefined if the cursor is none of the tenant's sessions. */
  async list(
    tenant: string,
    { limit, cursor, states, tier, labels }: ListQuery,
  ): Promise<{ items: Session[]; nextCursor: string | null } | undefined> {
    let query = this.database.selectFrom("sessions").selectAll().where("tenant", "=", tenant).where("warm", "is", null);
    if (states !== undefined) query = query.where("state", "in", states);
    if (tier !== undefined) query = query.where("tier", "=", tier);
    if (labels !== undefined) query = query.where(sql<boolean>`labels @> ${JSON.stringify(labels)}::jsonb`);
    if (cursor !== undefined) {
      if ((await this.find(cursor, tenant)) === undefined) return undefined;
      query = query.where(
        sql<boolean>`(created_at, id) < (select c.created_at, c.id from sessions c where c.id = ${cursor}::uuid)`,
      );
    }
    const rows = await query
      .orderBy("created_at", "desc")
      .orderBy("id", "desc")
      .limit(limit + 1)
      .execute();
    const items = rows.slice(0, limit).map(fromRow);
    return { items, nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
  }

  /**
   * Applies the event to the session as it was seen. Returns the new session; `"unchanged"` if the event means nothing in
   * that state; `"stale"` if the session has changed since it was seen: look again. With `onlyIf`: also `"stale"` if that
   * does not hold any more.
   */
  async apply(
    seen: Session,
    event: SessionEvent,
    actor: Actor,
    onlyIf: Expression<SqlBool> = sql<boolean>`true`,
  ): Promise<Session | "unchanged" | "stale"> {
    const next = transition(seen, event);
    if (next === undefined) return "unchanged";
    const row = await this.database
      .with("changed", (db) =>
        db
          .updateTable("sessions")
          .set({ ...changesOf(seen, next, event), version: seen.version + 1, updated_at: sql`now()` })
          .where("id", "=", seen.id)
          .where("version", "=", seen.version)
          .where(onlyIf)
          .returningAll(),
      )
      .with("logged", logEvents("changed", event.type, actor))
      .selectFrom("changed")
      .selectAll()
      .executeTakeFirst();
    return row === undefined ? "stale" : fromRow(row);
  }

  /** Asks the tenant's session to stop. Returns it as it is then, also if it was stopping or final before; undefined if there is none. */
  async stop(id: string, tenant: string, reason: string, actor: Actor): Promise<Session | undefined> {
    return (await this.#change(id, tenant, { type: "stop", cause: "user", reason }, actor))?.session;
  }

  /** Asks for the pod to go and the workspace to stay. Refused unless the session runs and has a workspace that can stay. */
  async suspend(id: string, tenant: string, actor: Actor): Promise<Changed | undefined> {
    const seen = await this.find(id, tenant);
    if (seen?.workspaceMode === "ephemeral") {
      return { session: seen, refusal: "The session's workspace is ephemeral: it would be lost with the pod." };
    }
    const event = { type: "suspend", reason: "Suspended by the user" } as const;
    const result = await this.#change(id, tenant, event, actor);
    if (result === undefined) return undefined;
    const { session } = result;
    const ok = session.state === "suspended" || (session.state === "suspending" && !session.resumes);
    return { session, refusal: ok ? null : `The session is ${session.state}; only a running one can be suspended.` };
  }

  /** Asks for the session to come up again with its workspace. Refused unless it is suspending or suspended. */
  async resume(id: string, tenant: string, actor: Actor): Promise<Changed | undefined> {
    const result = await this.#change(id, tenant, { type: "resume", reason: "Resumed by the user" }, actor);
    if (result === undefined) return undefined;
    const { session, changed } = result;
    const ok = changed || ["queued", "starting", "running"].includes(session.state) || session.resumes;
    return { session, refusal: ok ? null : `The session is ${session.state}; only a suspended one can be resumed.` };
  }

  /**
   * Lets the session run for `seconds` more than its maximum lifetime, but for `limitSeconds` in all at most (null: no
   * limit), and counts as activity. Refused, and the row stays as it is, if the session is ending or has no maximum lifetime.
   */
  async extend(
    id: string,
    tenant: string,
    seconds: number,
    limitSeconds: number | null,
    actor: Actor,
  ): Promise<Changed | undefined> {
    const longer = sql<number>`greatest(max_lifetime_seconds,
      least(max_lifetime_seconds::bigint + ${seconds}, coalesce(${limitSeconds}::integer, 2147483647)))`;
    const row = await this.database
      .with("changed", (db) =>
        db
          .updateTable("sessions")
          .set({
            max_lifetime_seconds: longer,
            last_active_at: sql`now()`,
            version: sql`version + 1`,
            // Of a start it says when that got on last; see admission. To wish for more time is no such thing.
            updated_at: sql`case when state = 'starting' then updated_at else now() end`,
          })
          .where("id", "=", id)
          .where("tenant", "=", tenant)
          .where("state", "not in", ["stopping", ...finalStates])
          .where("max_lifetime_seconds", "is not", null)
          .returningAll(),
      )
      .with("logged", logEvents("changed", "extend", actor))
      .selectFrom("changed")
      .selectAll()
      .executeTakeFirst();
    if (row !== undefined) return { session: fromRow(row), refusal: null };
    const session = await this.find(id, tenant);
    if (session === undefined) return undefined;
    const endless = session.maxLifetimeSeconds === null && session.state !== "stopping" && !isFinal(session.state);
    const why = endless ? "The session has no maximum lifetime, so there is nothing to extend." : undefined;
    return { session, refusal: why ?? `The session is ${session.state}; it can't be extended.` };
  }

  /** See keptLogs.ts. */
  keptLog(id: string): Promise<string | undefined> {
    return keptLog(this.database, id);
  }

  /** Notes that something happens in the session, so that it isn't idle. No change of state, and at most one write in 5 s. */
  async touch(id: string): Promise<void> {
    await this.database
      .updateTable("sessions")
      .set({ last_active_at: sql`now()` })
      .where("id", "=", id)
      .where("state", "not in", ["stopping", ...finalStates])
      .where(sql<boolean>`coalesce(last_active_at < now() - interval '5 seconds', true)`)
      .execute();
  }

  /** Notes how far the agent is, for those who look on; a line of the audit trail too. Whoever calls bounds the rate. */
  async progress(id: string, message: string, percent: number | null, actor: Actor): Promise<void> {
    await this.database
      .with("changed", (db) =>
        db
          .updateTable("sessions")
          .set({ progress: JSON.stringify({ message, percent }), last_active_at: sql`now()` })
          .where("id", "=", id)
          .where("state", "in", podStates)
          .returningAll(),
      )
      .with("logged", logEvents("changed", "progress", actor, percent === null ? message : `${message} (${percent} %)`))
      .selectFrom("changed")
      .select("id")
      .execute();
  }

  /** Notes in the audit trail who runs which command in the session; false if it doesn't run. */
  async command(id: string, command: string, actor: Actor): Promise<boolean> {
    const row = await this.database
      .with("changed", (db) =>
        db.selectFrom("sessions").selectAll().where("id", "=", id).where("state", "=", "running"),
      )
      .with("logged", logEvents("changed", "command", actor, command))
      .selectFrom("changed")
      .select("id")
      .executeTakeFirst();
    return row !== undefined;
  }

  /** At most `limit` events of the tenant, or of one of its sessions, after the event `afterId` ("0": all), oldest first. */
  events(
    of: { tenant: string; sessionId?: string | undefined },
    afterId: string,
    limit: number,
  ): Promise<LoggedEvent[]> {
    return readEvents(this.database, of, afterId, limit);
  }

  /** At most `limit` events after the event `afterId`, of everybody, oldest first. */
  allEvents(afterId: string, limit: number): Promise<(LoggedEvent & { tenant: string })[]> {
    return readAllEvents(this.database, afterId, limit);
  }

  /** Where to begin if only what comes from now on matters. */
  newestEventId(): Promise<string> {
    return newestEventId(this.database);
  }

  /** For how long the tenant's sessions ran, by day and tier; `from` and `to` are days, YYYY-MM-DD in UTC, both included. */
  usage(tenant: string, from: string, to: string): Promise<Usage[]> {
    return readUsage(this.database, tenant, from, to);
  }

  /** Every session that is not final: those that `reconcile` has still to look after. */
  async unfinished(): Promise<string[]> {
    const rows = await this.database
      .selectFrom("sessions")
      .select("id")
      .where("state", "not in", finalStates)
      .execute();
    return rows.map((row) => row.id);
  }

  /** How many sessions each tenant has in each state; those made ahead, which nobody has yet, aren't counted. */
  async count(): Promise<{ tenant: string; state: State; count: number }[]> {
    const rows = await this.database
      .selectFrom("sessions")
      .select(["tenant", "state", (build) => build.fn.countAll<string>().as("count")])
      .where("warm", "is", null)
      .groupBy(["tenant", "state"])
      .execute();
    return rows.map((row) => ({ ...row, count: Number(row.count) }));
  }

  /** How many sessions are in a state for longer than they may be, by state; see stuck.ts. */
  countStuck(startTimeoutSeconds: number): Promise<StuckCounts> {
    return countStuck(this.database, startTimeoutSeconds);
  }

  async countByState(): Promise<Map<State, number>> {
    const counts = new Map<State, number>();
    for (const { state, count } of await this.count()) counts.set(state, (counts.get(state) ?? 0) + count);
    return counts;
  }

  /** Applies the event, again and again while others change the session. */
  async #change(
    id: string,
    tenant: string,
    event: SessionEvent,
    actor: Actor,
  ): Promise<{ session: Session; changed: boolean } | undefined> {
    for (;;) {
      const seen = await this.find(id, tenant);
      if (seen === undefined) return undefined;
      const result = await this.apply(seen, event, actor);
      if (result === "unchanged") return { session: seen, changed: false };
      if (result !== "stale") return { session: result, changed: true };
    }
  }
}
