/** Sessions in Postgres. Every change is one statement that compares the version, sets, and appends to the audit trail. */
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { Database } from "../database/database.ts";
import { fromRow, type Session } from "./session.ts";
import { finalStates, type SessionEvent, type State, transition } from "./state.ts";
import type { Tier } from "./tiers.ts";

/** Who does something, for the audit trail: e.g. `key:default` from an address, or `worker`. */
export interface Actor {
  name: string;
  address?: string;
}

export interface NewSession {
  tenant: string;
  namespace: string;
  tier: Tier;
  /** Repeating a create with the same key gives the same session. */
  idempotencyKey?: string | undefined;
}

export class SessionStore {
  constructor(private readonly database: Database) {}

  /**
   * Makes a session in state `queued`. With an idempotency key that the tenant used before: the session of that time
   * (`replayed`), or `mismatch` if it was made from another request.
   */
  async create(request: NewSession, actor: Actor): Promise<{ session: Session; replayed: boolean } | "mismatch"> {
    const created = await this.database
      .with("created", (db) =>
        db
          .insertInto("sessions")
          .values({
            id: randomUUID(),
            tenant: request.tenant,
            namespace: request.namespace,
            tier: request.tier,
            state: "queued",
            idempotency_key: request.idempotencyKey ?? null,
          })
          .onConflict((conflict) => conflict.constraint("sessions_idempotency").doNothing())
          .returningAll(),
      )
      .with("logged", (db) =>
        db
          .insertInto("session_events")
          .columns(eventColumns)
          .expression(eventsFrom("created", "created", actor)),
      )
      .selectFrom("created")
      .selectAll()
      .executeTakeFirst();
    if (created !== undefined) return { session: fromRow(created), replayed: false };

    const earlier = await this.database
      .selectFrom("sessions")
      .selectAll()
      .where("tenant", "=", request.tenant)
      .where("idempotency_key", "=", request.idempotencyKey ?? null)
      .executeTakeFirstOrThrow();
    return earlier.tier === request.tier ? { session: fromRow(earlier), replayed: true } : "mismatch";
  }

  /** The session, or undefined. With a tenant: only if it is the tenant's. */
  async find(id: string, tenant?: string): Promise<Session | undefined> {
    let query = this.database.selectFrom("sessions").selectAll().where("id", "=", id);
    if (tenant !== undefined) query = query.where("tenant", "=", tenant);
    const row = await query.executeTakeFirst();
    return row && fromRow(row);
  }

  /** The session and for how many seconds it is in its state, both by the database's clock; undefined if there is none. */
  async look(id: string): Promise<{ session: Session; secondsInState: number } | undefined> {
    const row = await this.database
      .selectFrom("sessions")
      .selectAll()
      .select(sql<number>`extract(epoch from now() - state_since)::float8`.as("seconds_in_state"))
      .where("id", "=", id)
      .executeTakeFirst();
    return row && { session: fromRow(row), secondsInState: row.seconds_in_state };
  }

  /**
   * The tenant's sessions, newest first, at most `limit`, beginning after the session `cursor`. Returns undefined if the
   * cursor is none of the tenant's sessions.
   */
  async list(
    tenant: string,
    limit: number,
    cursor?: string,
  ): Promise<{ items: Session[]; nextCursor: string | null } | undefined> {
    let query = this.database.selectFrom("sessions").selectAll().where("tenant", "=", tenant);
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
   * that state; `"stale"` if the session has changed since it was seen: look again.
   */
  async apply(seen: Session, event: SessionEvent, actor: Actor): Promise<Session | "unchanged" | "stale"> {
    const next = transition(seen, event);
    if (next === undefined) return "unchanged";
    const row = await this.database
      .with("changed", (db) =>
        db
          .updateTable("sessions")
          .set({
            state: next.state,
            reason: next.reason,
            ends_as: next.endsAs,
            pod_ip: next.podIp,
            version: seen.version + 1,
            updated_at: sql`now()`,
            ...(next.state !== seen.state && { state_since: sql`now()` }),
          })
          .where("id", "=", seen.id)
          .where("version", "=", seen.version)
          .returningAll(),
      )
      .with("logged", (db) =>
        db
          .insertInto("session_events")
          .columns(eventColumns)
          .expression(eventsFrom("changed", event.type, actor)),
      )
      .selectFrom("changed")
      .selectAll()
      .executeTakeFirst();
    return row === undefined ? "stale" : fromRow(row);
  }

  /** Asks the tenant's session to stop. Returns it as it is then, also if it was stopping or final before; undefined if there is none. */
  async stop(id: string, tenant: string, reason: string, actor: Actor): Promise<Session | undefined> {
    for (;;) {
      const seen = await this.find(id, tenant);
      if (seen === undefined) return undefined;
      const result = await this.apply(seen, { type: "stop", reason }, actor);
      if (result === "unchanged") return seen;
      if (result !== "stale") return result;
    }
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

  async countByState(): Promise<Map<State, number>> {
    const rows = await this.database
      .selectFrom("sessions")
      .select(["state", (build) => build.fn.countAll<string>().as("count")])
      .groupBy("state")
      .execute();
    return new Map(rows.map((row) => [row.state, Number(row.count)]));
  }
}

const eventColumns = ["session_id", "type", "state", "reason", "version", "actor", "address"] as const;

/** Rows of the audit trail from what the common table `source` made or changed: appended by the same statement. */
function eventsFrom(source: "created" | "changed", type: string, actor: Actor) {
  return sql<never>`
    select id, ${type}::text, state, reason, version, ${actor.name}::text, ${actor.address ?? null}::inet
    from ${sql.ref(source)}`;
}
