/**
 * Webhook deliveries in Postgres. They are created from the audit trail, and any free worker sends them. A delivery is
 * deleted when it has arrived, when its webhook does not exist any more, or, if it is dead, when it is old (history.ts).
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

/** How many deliveries to take. */
export interface Room {
  /** The maximum over all URLs. */
  total: number;
  /** The maximum for each URL. */
  perUrl: number;
  /** The maximum for certain URLs, in place of `perUrl`. */
  limits: Map<string, number>;
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
   * Takes due deliveries within the given limits; no other worker gets them for a minute. The oldest due delivery of
   * each URL comes before the second-oldest of any URL. The query reads a few index entries for each URL that has pending
   * deliveries and for each delivery taken, however many are due.
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
      where id = any(array(select id from picked))
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
   * Records a failed attempt with this error for each due delivery to these URLs, without sending anything. The delivery is
   * postponed, or becomes dead if that was its last attempt. Changes at most 1000 deliveries, and returns how many are postponed
   * (`failed`) and how many are dead.
   */
  async putOff(urls: string[], error: string): Promise<{ failed: number; dead: number }> {
    const { rows } = await sql<{ state: "pending" | "dead" }>`
      update webhook_deliveries
      set attempts = attempts + 1,
        last_error = ${error},
        state = case when attempts + 1 >= ${maxAttempts} then 'dead' else state end,
        next_at = now() + make_interval(
          secs => least(${longestSeconds}, ${firstSeconds} * ${factor}::float8 ^ attempts) * (0.8 + 0.4 * random()))
      where id = any(array(
        select id from webhook_deliveries
        where url = any(${urls}) and state = 'pending' and next_at <= now()
        limit ${putOffSize} for update skip locked))
      returning state`.execute(this.database);
    const dead = rows.filter(({ state }) => state === "dead").length;
    return { failed: rows.length - dead, dead };
  }

  /** Deletes a delivery that has arrived, or whose webhook does not exist any more. */
  async remove(id: string): Promise<void> {
    await this.database.deleteFrom("webhook_deliveries").where("id", "=", id).execute();
  }

  /** Records a failed attempt. The next attempt is due in `next` seconds, or never (`dead`). */
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
