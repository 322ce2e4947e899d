/** Sessions as they are, one or many; no query reads the encrypted task. */
import { sql } from "kysely";
import type { Session, TimedSession } from "../domain/session.ts";
import type { State } from "../domain/state.ts";
import type { Tier } from "../domain/tiers.ts";
import type { Database } from "./database.ts";
import { isIdle, isOverLifetime, secondsInState } from "./deadlines.ts";
import { sessionColumns } from "./sessionColumns.ts";

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

export class SessionQueries {
  constructor(private readonly database: Database) {}

  /** The session, or undefined. With a tenant: only if it is the tenant's. */
  async find(id: string, tenant?: string): Promise<Session | undefined> {
    let query = this.database.selectFrom("sessions").select(sessionColumns).where("id", "=", id);
    if (tenant !== undefined) query = query.where("tenant", "=", tenant).where("warm", "is", null);
    return query.executeTakeFirst();
  }

  /** The session with its ages and deadlines by the database's clock; undefined if there is none. */
  async findTimed(id: string): Promise<TimedSession | undefined> {
    const row = await this.database
      .selectFrom("sessions")
      .select(sessionColumns)
      .select([secondsInState.as("secondsInState"), isIdle.as("isIdle"), isOverLifetime.as("isOverLifetime")])
      .where("id", "=", id)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { secondsInState: inState, isIdle: idle, isOverLifetime: over, ...session } = row;
    return { session, secondsInState: inState, isIdle: idle, isOverLifetime: over };
  }

  /** The tenant's sessions, newest first. Returns undefined if the cursor is none of the tenant's sessions. */
  async list(
    tenant: string,
    { limit, cursor, states, tier, labels }: ListQuery,
  ): Promise<{ items: Session[]; nextCursor: string | null } | undefined> {
    let query = this.database
      .selectFrom("sessions")
      .select(sessionColumns)
      .where("tenant", "=", tenant)
      .where("warm", "is", null);
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
    const items = rows.slice(0, limit);
    return { items, nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
  }
}
