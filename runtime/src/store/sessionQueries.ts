/** Reads one or many sessions. No query reads the encrypted task. */
import { sql } from "kysely";
import type { Session, TimedSession } from "../domain/session.ts";
import type { State } from "../domain/states/state.ts";
import type { Tier } from "../domain/tiers.ts";
import { type Database, keptPlan } from "./database.ts";
import { isIdle, isOverLifetime, secondsInState } from "./deadlines.ts";
import { frequent } from "./frequent.ts";
import { sessionColumns } from "./sessionColumns.ts";

export interface ListQuery {
  /** The maximum number of sessions. */
  limit: number;
  /** The id of the session after which the list continues. Default: the list begins with the newest session. */
  cursor?: string | undefined;
  /** Default: all states. */
  states?: State[] | undefined;
  tier?: Tier | undefined;
  /** Only sessions that have all of these labels. Default: no filter. */
  labels?: Record<string, string> | undefined;
}

const findAny = frequent((database, { id }: { id: string }) =>
  database.selectFrom("sessions").select(sessionColumns).where("id", "=", id).modifyEnd(keptPlan),
);

const findOfTenant = frequent((database, { id, tenant }: { id: string; tenant: string }) =>
  database
    .selectFrom("sessions")
    .select(sessionColumns)
    .where("id", "=", id)
    .where("tenant", "=", tenant)
    .where("warm", "is", null)
    .modifyEnd(keptPlan),
);

export class SessionQueries {
  constructor(private readonly database: Database) {}

  /** The session, or undefined. If `tenant` is given: only a session of this tenant that is not warm. */
  async find(id: string, tenant?: string): Promise<Session | undefined> {
    const [session] =
      tenant === undefined ? await findAny(this.database, { id }) : await findOfTenant(this.database, { id, tenant });
    return session;
  }

  /**
   * The session, how long it has been in its state, and whether its time limits are over, all by the database's clock.
   * Undefined if there is no such session.
   */
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

  /**
   * The positions of those of the tenant's sessions that are queued, by session id: 1 for the session that leaves the tenant's
   * queue next. The order is the planner's (see admissionPlan.ts). The statement reads all queued sessions of the tenant, whose
   * number the backlog limit limits, by the index `sessions_queue`.
   */
  async queuePositions(tenant: string, ids: string[]): Promise<Map<string, number>> {
    const { rows } = await sql<{ id: string; position: number }>`
      select id, position from (
        select id, (row_number() over (order by priority desc, state_since, id))::integer as position
        from sessions where tenant = ${tenant} and state = 'queued' and warm is null) as queue
      where id = any(${ids}::uuid[])
      ${keptPlan}`.execute(this.database);
    return new Map(rows.map(({ id, position }) => [id, position]));
  }

  /** The tenant's sessions, newest first. Undefined if the cursor is not the id of a session of the tenant. */
  async list(
    tenant: string,
    { limit, cursor, states, tier, labels }: ListQuery,
  ): Promise<{ items: Session[]; nextCursor: string | null } | undefined> {
    const after = cursor === undefined ? undefined : await this.#createdAt(cursor, tenant);
    if (cursor !== undefined && after === undefined) return undefined;
    const matching = (state?: State) => {
      let query = this.database
        .selectFrom("sessions")
        .select("id")
        .where("tenant", "=", tenant)
        .where("warm", "is", null);
      if (state !== undefined) query = query.where("state", "=", state);
      if (tier !== undefined) query = query.where("tier", "=", tier);
      if (labels !== undefined && Object.keys(labels).length > 0) query = query.where(hasLabels(tenant, labels));
      if (after !== undefined) {
        query = query.where(sql<boolean>`(created_at, id) < (${after}::timestamptz, ${cursor}::uuid)`);
      }
      return query
        .orderBy("created_at", "desc")
        .orderBy("id", "desc")
        .limit(limit + 1);
    };
    // Reads the newest sessions of each state separately. So an index gives them in order, even if other states have many.
    const found = (states ?? [undefined]).map((state) => sql`(${matching(state)})`);
    const rows = await this.database
      .selectFrom("sessions")
      .select(sessionColumns)
      .where(sql<boolean>`id in (${sql.join(found, sql` union all `)})`)
      .orderBy("created_at", "desc")
      .orderBy("id", "desc")
      .limit(limit + 1)
      .execute();
    const items = rows.slice(0, limit);
    return { items, nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
  }

  /** When the tenant's session was created, as text, because a Date has no microseconds. */
  async #createdAt(id: string, tenant: string): Promise<string | undefined> {
    const row = await this.database
      .selectFrom("sessions")
      .select(sql<string>`created_at::text`.as("at"))
      .where("id", "=", id)
      .where("tenant", "=", tenant)
      .where("warm", "is", null)
      .executeTakeFirst();
    return row?.at;
  }
}

/**
 * Whether the tenant's session has all of the labels; see migration 0022. Names of tenants contain no slash and names of
 * labels no equals sign, so different labels have different terms. All labels are one condition, because Postgres
 * would multiply its estimates for several conditions, and expect few sessions even if all sessions have these labels.
 */
function hasLabels(tenant: string, labels: Record<string, string>) {
  const terms = Object.entries(labels).map(([name, value]) => `${tenant}/${name}=${value}`);
  return sql<boolean>`labels <> '{}'::jsonb and label_terms(tenant, labels) @> ${terms}::text[]`;
}
