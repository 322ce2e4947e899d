/** Deliveries in Postgres: made from the audit trail, taken by whichever worker is free, kept until they have arrived. */
import { type InferResult, sql } from "kysely";
import type { TenantsFile } from "../config/tenantsFile.ts";
import { type EventJson, isPosted, toEventJson } from "../domain/event.ts";
import { isBehind } from "../domain/generation.ts";
import { factor, firstSeconds, longestSeconds, maxAttempts } from "../domain/webhookBackoff.ts";
import { AuditTrail } from "./auditTrail.ts";
import type { Database } from "./database.ts";

/** Events turned into deliveries at once. */
const pageSize = 500;

/** A delivery whose worker died is another's after so many seconds; longer than an attempt may take. */
const leaseSeconds = 60;

/** Deliveries put off at once. */
const putOffSize = 1_000;

/** How many deliveries to take. */
export interface Room {
  /** In all. */
  total: number;
  /** Of each URL. */
  perUrl: number;
  /** Of these URLs, in its place. */
  limits: Map<string, number>;
}

export interface Delivery {
  id: string;
  url: string;
  /** With this one. */
  attempts: number;
  event: EventJson;
  /** Of the tenants file by which it was made. */
  tenantsGeneration: number;
}

/** A delivery as it is kept until it has arrived. */
export interface KeptDelivery {
  id: string;
  tenant: string;
  url: string;
  /** `dead`: not tried any more. */
  state: "pending" | "dead";
  attempts: number;
  /** When it is tried next; null: not any more. */
  nextAt: Date | null;
  lastError: string | null;
  createdAt: Date;
  event: EventJson;
}

export class DeliveryStore {
  constructor(private readonly database: Database) {}

  /**
   * Makes deliveries of what has happened since the last time, for the tenants that have webhooks. Returns whether there
   * may be more. One worker at a time does it; the others find nothing to do. What is of a tenant that this worker hasn't
   * read of yet waits, and what comes after it, until this worker has or another that has comes by.
   */
  async fanOut(tenants: Pick<TenantsFile, "get" | "generation">): Promise<boolean> {
    return this.database.transaction().execute(async (transaction) => {
      const position = await transaction
        .selectFrom("webhook_position")
        .select("event_id")
        .forUpdate()
        .skipLocked()
        .executeTakeFirst();
      if (position === undefined) return false;
      const page = await new AuditTrail(transaction).ofAll(position.event_id, pageSize);
      const unread = page.findIndex(
        ({ tenant, tenantsGeneration }) =>
          tenants.get(tenant) === undefined && isBehind(tenants.generation, tenantsGeneration),
      );
      const events = unread === -1 ? page : page.slice(0, unread);
      const last = events.at(-1);
      if (last === undefined) return false;
      const rows = events
        .filter(({ type }) => isPosted(type))
        .flatMap((event) =>
          (tenants.get(event.tenant)?.webhooks ?? []).map(({ url }) => ({
            tenant: event.tenant,
            url,
            event_id: event.id,
            tenants_generation: tenants.generation,
          })),
        );
      if (rows.length > 0) {
        await transaction
          .insertInto("webhook_deliveries")
          .values(rows)
          .onConflict((conflict) => conflict.constraint("webhook_deliveries_once").doNothing())
          .execute();
      }
      await transaction.updateTable("webhook_position").set({ event_id: last.id }).execute();
      return events.length === pageSize;
    });
  }

  /**
   * Deliveries that are due, as far as there is room; nobody else gets them for a minute. Each URL's longest due one comes
   * before any URL's second. Costs a few looks into an index for each URL that something is pending for, and for each
   * delivery taken, however many are due.
   */
  async take({ total, perUrl, limits }: Room): Promise<Delivery[]> {
    const { rows: taken } = await sql<{ id: string }>`
      with recursive urls as (
        (select url from webhook_deliveries where state = 'pending' order by url limit 1)
        union all
        select (
          select next.url from webhook_deliveries as next
          where next.state = 'pending' and next.url > urls.url order by next.url limit 1)
        from urls where urls.url is not null
      ), picked as materialized (
        select due.id, due.next_at, row_number() over (partition by urls.url order by due.next_at) as place
        from urls cross join lateral (
          select id, next_at from webhook_deliveries as delivery
          where delivery.url = urls.url and state = 'pending' and next_at <= now()
          order by next_at
          limit coalesce(
            (select room from unnest(${[...limits.keys()]}::text[], ${[...limits.values()]}::integer[]) as l (url, room)
             where l.url = urls.url),
            ${perUrl}::integer)
          for update skip locked) as due
        order by place, due.next_at
        limit ${total}
      )
      update webhook_deliveries as delivery
      set attempts = attempts + 1, next_at = now() + make_interval(secs => ${leaseSeconds})
      from picked where delivery.id = picked.id
      returning delivery.id`.execute(this.database);
    if (taken.length === 0) return [];
    const rows = await select(this.database)
      .where(
        "delivery.id",
        "in",
        taken.map(({ id }) => id),
      )
      .execute();
    return rows.map((row) => ({
      id: row.delivery_id,
      url: row.url,
      attempts: row.attempts,
      event: eventOf(row),
      tenantsGeneration: row.tenants_generation,
    }));
  }

  /**
   * What is due for these URLs counts as tried and failed, with this error: it is due again, or dead, when it would be then.
   * Returns how many of at most 1000 are due again and how many are dead.
   */
  async putOff(urls: string[], error: string): Promise<{ failed: number; dead: number }> {
    const { rows } = await sql<{ state: "pending" | "dead" }>`
      update webhook_deliveries
      set attempts = attempts + 1,
        last_error = ${error},
        state = case when attempts + 1 >= ${maxAttempts} then 'dead' else state end,
        next_at = now() + make_interval(
          secs => least(${longestSeconds}, ${firstSeconds} * ${factor}::float8 ^ attempts) * (0.8 + 0.4 * random()))
      where id in (
        select id from webhook_deliveries
        where url = any(${urls}) and state = 'pending' and next_at <= now()
        limit ${putOffSize} for update skip locked)
      returning state`.execute(this.database);
    const dead = rows.filter(({ state }) => state === "dead").length;
    return { failed: rows.length - dead, dead };
  }

  /** It has arrived, or there is no such webhook any more. */
  async remove(id: string): Promise<void> {
    await this.database.deleteFrom("webhook_deliveries").where("id", "=", id).execute();
  }

  /** It has not arrived; tried again in so many seconds, or not any more (`dead`). */
  async fail(id: string, error: string, next: number | "dead"): Promise<void> {
    await this.database
      .updateTable("webhook_deliveries")
      .set({
        last_error: error.slice(0, 500),
        ...(next === "dead"
          ? { state: "dead" as const }
          : { next_at: sql<Date>`now() + make_interval(secs => ${next})` }),
      })
      .where("id", "=", id)
      .execute();
  }

  /** Newest first. Undefined if the cursor is no delivery. */
  async list(
    filter: { state?: "pending" | "dead" | undefined; tenant?: string | undefined },
    limit: number,
    cursor: string | undefined,
  ): Promise<{ items: KeptDelivery[]; nextCursor: string | null } | undefined> {
    let query = select(this.database);
    if (filter.state !== undefined) query = query.where("delivery.state", "=", filter.state);
    if (filter.tenant !== undefined) query = query.where("delivery.tenant", "=", filter.tenant);
    if (cursor !== undefined) {
      if ((await this.find(cursor)) === undefined) return undefined;
      query = query.where(
        sql<boolean>`(delivery.created_at, delivery.id) <
          (select c.created_at, c.id from webhook_deliveries c where c.id = ${cursor}::uuid)`,
      );
    }
    const rows = await query
      .orderBy("delivery.created_at", "desc")
      .orderBy("delivery.id", "desc")
      .limit(limit + 1)
      .execute();
    const items = rows.slice(0, limit).map(fromRow);
    return { items, nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
  }

  async find(id: string, database = this.database): Promise<KeptDelivery | undefined> {
    const row = await select(database).where("delivery.id", "=", id).executeTakeFirst();
    return row && fromRow(row);
  }

  /** Tried at once, and as often as a new one. Read before it can be: by then it may have arrived, and be gone. */
  redeliver(id: string): Promise<KeptDelivery | undefined> {
    return this.database.transaction().execute(async (transaction) => {
      await transaction
        .updateTable("webhook_deliveries")
        .set({ state: "pending", attempts: 0, next_at: sql<Date>`now()` })
        .where("id", "=", id)
        .execute();
      return this.find(id, transaction);
    });
  }
}

function select(database: Database) {
  return database
    .selectFrom("webhook_deliveries as delivery")
    .innerJoin("session_events as event", "event.id", "delivery.event_id")
    .selectAll("event")
    .select([
      "delivery.id as delivery_id",
      "delivery.tenant",
      "delivery.url",
      "delivery.state as delivery_state",
      "delivery.attempts",
      "delivery.next_at",
      "delivery.last_error",
      "delivery.created_at",
      "delivery.tenants_generation",
    ]);
}

type Row = InferResult<ReturnType<typeof select>>[number];

const eventOf = ({ session_id, tenant, ...event }: Row): EventJson =>
  toEventJson({ ...event, sessionId: session_id }, tenant);

const fromRow = (row: Row): KeptDelivery => ({
  id: row.delivery_id,
  tenant: row.tenant,
  url: row.url,
  state: row.delivery_state,
  attempts: row.attempts,
  nextAt: row.delivery_state === "pending" ? row.next_at : null,
  lastError: row.last_error,
  createdAt: row.created_at,
  event: eventOf(row),
});
