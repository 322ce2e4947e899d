/**
 * Webhook deliveries in Postgres. They are created from the audit trail, and any free worker sends them. A delivery is
 * deleted when it has arrived, when its webhook does not exist any more, or, if it is dead, when it is old (history.ts).
 * The table is often empty, and the plan for an empty table reads all of it. So Postgres must not keep these statements' plans:
 * a kept plan would be used for thousands of deliveries too, until Postgres analyzes the table.
 */
import { type InferResult, sql } from "kysely";
import type { TenantsFile } from "../config/tenantsFile.ts";
import { type EventJson, toEventJson } from "../domain/event.ts";
import { factor, firstSeconds, longestSeconds, maxAttempts } from "../domain/webhookBackoff.ts";
import type { Database } from "./database.ts";
import { DeliveryFanOut } from "./deliveryFanOut.ts";

/** If a worker dies, another worker takes its deliveries after this many seconds. An attempt takes less time. */
const leaseSeconds = 60;

/** How many deliveries one statement postpones. */
const putOffSize = 1_000;

/** A URL of a tenant. Two tenants with the same URL have two receivers, so that neither delays the other. */
export interface Receiver {
  tenant: string;
  url: string;
}

/** How many deliveries to take for a receiver. */
export interface Room extends Receiver {
  room: number;
}

export interface Delivery {
  id: string;
  url: string;
  /** The number of attempts, including this one. */
  attempts: number;
  event: EventJson;
  /** The generation of the tenants file by which the delivery was created. */
  tenantsGeneration: number;
}

/** What an attempt led to. */
export interface Result {
  id: string;
  /** The number of attempts, including this one. */
  attempts: number;
  /** Undefined: the delivery has arrived, or its webhook does not exist any more. */
  failure?: {
    error: string;
    /** The next attempt is due in this many seconds, or never (`dead`). */
    next: number | "dead";
  };
}

/** A delivery that has not arrived yet. */
export interface KeptDelivery {
  id: string;
  tenant: string;
  url: string;
  /** `dead`: no more attempts are made. */
  state: "pending" | "dead";
  attempts: number;
  /** When the next attempt is due; null: no more attempts are made. */
  nextAt: Date | null;
  lastError: string | null;
  createdAt: Date;
  event: EventJson;
}

export class DeliveryStore {
  readonly #fanOut: DeliveryFanOut;

  constructor(private readonly database: Database) {
    this.#fanOut = new DeliveryFanOut(database);
  }

  /** Creates webhook deliveries of the events since the last call of any worker; see DeliveryFanOut. */
  fanOut(tenants: Pick<TenantsFile, "get" | "generation">): ReturnType<DeliveryFanOut["run"]> {
    return this.#fanOut.run(tenants);
  }

  /**
   * Takes due deliveries, the oldest of each receiver; no other worker gets them for a minute. A receiver that is not in `rooms`
   * gets `usual` at most. The query reads a few index entries for each receiver that has pending deliveries and for each delivery
   * taken, however many are due.
   */
  async take(rooms: Room[], usual: number): Promise<Delivery[]> {
    const { rows } = await sql<Row>`
      with recursive receivers as (
        (select tenant, url from webhook_deliveries where state = 'pending' order by tenant, url limit 1)
        union all
        select next.tenant, next.url from receivers cross join lateral (
          select tenant, url from webhook_deliveries
          where state = 'pending' and (tenant, url) > (receivers.tenant, receivers.url)
          order by tenant, url limit 1) as next
      ), due as materialized (
        select picked.id
        from receivers
        left join unnest(${column(rooms, "tenant")}::text[], ${column(rooms, "url")}::text[],
          ${column(rooms, "room")}::integer[]) as known (tenant, url, room) using (tenant, url)
        cross join lateral (
          select id from webhook_deliveries
          where tenant = receivers.tenant and url = receivers.url and state = 'pending' and next_at <= now()
          order by next_at
          limit coalesce(known.room, ${usual}::integer)
          for update skip locked) as picked
      )
      update webhook_deliveries as delivery
      set attempts = attempts + 1, next_at = now() + make_interval(secs => ${leaseSeconds})
      from session_events as event
      where delivery.id = any(array(select id from due)) and event.id = delivery.event_id
      returning ${sql.join(columns.map(asColumn))}`.execute(this.database);
    return rows.map((row) => ({
      id: row.delivery_id,
      url: row.url,
      attempts: row.attempts,
      event: eventOf(row),
      tenantsGeneration: row.tenants_generation,
    }));
  }

  /**
   * Records a failed attempt with this error for each due delivery to these receivers, without sending anything. The delivery is
   * postponed, or becomes dead if that was its last attempt. Changes at most 1000 deliveries, and returns how many are postponed
   * (`failed`) and how many are dead.
   */
  async putOff(receivers: Receiver[], error: string): Promise<{ failed: number; dead: number }> {
    const { rows } = await sql<{ state: "pending" | "dead" }>`
      update webhook_deliveries
      set attempts = attempts + 1,
        last_error = ${error},
        state = case when attempts + 1 >= ${maxAttempts} then 'dead' else state end,
        next_at = now() + make_interval(
          secs => least(${longestSeconds}, ${firstSeconds} * ${factor}::float8 ^ attempts) * (0.8 + 0.4 * random()))
      where id = any(array(
        select due.id
        from unnest(${column(receivers, "tenant")}::text[], ${column(receivers, "url")}::text[]) as late (tenant, url)
        cross join lateral (
          select id from webhook_deliveries
          where tenant = late.tenant and url = late.url and state = 'pending' and next_at <= now()
          order by next_at limit ${putOffSize} for update skip locked) as due
        limit ${putOffSize}))
      returning state`.execute(this.database);
    const dead = rows.filter(({ state }) => state === "dead").length;
    return { failed: rows.length - dead, dead };
  }

  /**
   * Stores what attempts led to, in one statement. A failure changes nothing if the delivery has been taken or sent again since
   * the attempt began.
   */
  async settle(results: Result[]): Promise<void> {
    const over = results.filter(({ failure }) => failure === undefined).map(({ id }) => id);
    const failed = results.flatMap(({ id, attempts, failure }) => {
      if (failure === undefined) return [];
      const { error, next } = failure;
      return [{ id, attempts, error: error.slice(0, 500), seconds: next === "dead" ? null : next }];
    });
    await sql`
      with gone as (
        delete from webhook_deliveries where id = any(${over}::uuid[])
      )
      update webhook_deliveries as delivery
      set last_error = failed.error,
        state = case when failed.seconds is null then 'dead' else delivery.state end,
        next_at = coalesce(now() + make_interval(secs => failed.seconds), next_at)
      from unnest(${column(failed, "id")}::uuid[], ${column(failed, "attempts")}::integer[],
        ${column(failed, "error")}::text[], ${column(failed, "seconds")}::float8[]
      ) as failed (id, attempts, error, seconds)
      where delivery.id = any(${column(failed, "id")}::uuid[]) and delivery.id = failed.id
        and delivery.attempts = failed.attempts`.execute(this.database);
  }

  /** The deliveries, newest first. Undefined if the cursor is not the id of a delivery. */
  async list(
    filter: { state?: "pending" | "dead" | undefined; tenant?: string | undefined },
    limit: number,
    cursor: string | undefined,
  ): Promise<{ items: KeptDelivery[]; nextCursor: string | null } | undefined> {
    let query = select(this.database);
    if (filter.state !== undefined) query = query.where("delivery.state", "=", filter.state);
    if (filter.tenant !== undefined) query = query.where("delivery.tenant", "=", filter.tenant);
    if (cursor !== undefined) {
      const at = await this.#createdAt(cursor, filter.tenant);
      if (at === undefined) return undefined;
      query = query.where(sql<boolean>`(delivery.created_at, delivery.id) < (${at}::timestamptz, ${cursor}::uuid)`);
    }
    const rows = await query
      .orderBy("delivery.created_at", "desc")
      .orderBy("delivery.id", "desc")
      .limit(limit + 1)
      .execute();
    const items = rows.slice(0, limit).map(fromRow);
    return { items, nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
  }

  /** When the delivery was created, as text, because a Date has no microseconds. */
  async #createdAt(id: string, tenant: string | undefined): Promise<string | undefined> {
    let query = this.database
      .selectFrom("webhook_deliveries")
      .select(sql<string>`created_at::text`.as("at"))
      .where("id", "=", id);
    if (tenant !== undefined) query = query.where("tenant", "=", tenant);
    return (await query.executeTakeFirst())?.at;
  }

  /**
   * Makes the delivery due now, and allows as many attempts as for a new delivery. Undefined if there is no such delivery,
   * or if the delivery does not belong to the given tenant.
   */
  async redeliver(id: string, tenant?: string): Promise<KeptDelivery | undefined> {
    // One statement changes and reads the delivery, because a worker may send and delete it immediately afterwards.
    let query = this.database
      .updateTable("webhook_deliveries as delivery")
      .from("session_events as event")
      .set({ state: "pending", attempts: 0, next_at: sql<Date>`now()` })
      .whereRef("event.id", "=", "delivery.event_id")
      .where("delivery.id", "=", id)
      .returning(columns);
    if (tenant !== undefined) query = query.where("delivery.tenant", "=", tenant);
    const row = await query.executeTakeFirst();
    return row && fromRow(row);
  }

  /** Does the same as `redeliver` with the tenant's oldest dead deliveries, at most `limit`. Returns their number. */
  async redeliverDead(tenant: string, limit: number): Promise<number> {
    const { rows } = await sql`
      update webhook_deliveries set state = 'pending', attempts = 0, next_at = now()
      where id = any(array(
        select id from webhook_deliveries where tenant = ${tenant} and state = 'dead'
        order by created_at, id limit ${limit} for update skip locked))
      returning id`.execute(this.database);
    return rows.length;
  }
}

const columns = [
  "event.id",
  "event.session_id",
  "event.at",
  "event.type",
  "event.state",
  "event.reason",
  "event.version",
  "event.actor",
  "event.address",
  "delivery.id as delivery_id",
  "delivery.tenant",
  "delivery.url",
  "delivery.state as delivery_state",
  "delivery.attempts",
  "delivery.next_at",
  "delivery.last_error",
  "delivery.created_at",
  "delivery.tenants_generation",
] as const;

const column = <Row, K extends keyof Row>(rows: Row[], key: K) => rows.map((row) => row[key]);

/** A column of `columns` in a statement that is written as text. */
const asColumn = (name: string) => {
  const [from = "", to] = name.split(" as ");
  return to === undefined ? sql.ref(from) : sql`${sql.ref(from)} as ${sql.ref(to)}`;
};

const select = (database: Database) =>
  database
    .selectFrom("webhook_deliveries as delivery")
    .innerJoin("session_events as event", "event.id", "delivery.event_id")
    .select(columns);

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
