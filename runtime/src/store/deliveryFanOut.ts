/** Turns the events of the audit trail into webhook deliveries. */
import { sql } from "kysely";
import type { TenantsFile } from "../config/tenantsFile.ts";
import { isPosted } from "../domain/event.ts";
import { isBehind } from "../domain/generation.ts";
import { AuditTrail, type EventHorizon, type OwnedEvent } from "./auditTrail.ts";
import type { Database } from "./database.ts";

/** How many events one statement turns into deliveries. */
const pageSize = 500;

/** How many events are turned into deliveries again after workers of an older version have run; see `#position`. */
const repeated = 1_000;

/** A delivery that does not exist yet. */
interface NewDelivery {
  tenant: string;
  url: string;
  eventId: string;
  tenantsGeneration: number;
}

const deliveriesOf = (events: OwnedEvent[], tenants: Pick<TenantsFile, "get" | "generation">): NewDelivery[] =>
  events
    .filter(({ type }) => isPosted(type))
    .flatMap(({ id: eventId, tenant }) =>
      (tenants.get(tenant)?.webhooks ?? []).map(({ url }) => ({
        tenant,
        url,
        eventId,
        tenantsGeneration: tenants.generation,
      })),
    );

export class DeliveryFanOut {
  readonly #trail: AuditTrail;
  readonly #horizon: EventHorizon;

  constructor(private readonly database: Database) {
    this.#trail = new AuditTrail(database);
    this.#horizon = this.#trail.horizon();
  }

  /**
   * Creates deliveries of the events since the last call of any worker, for the tenants that have webhooks. Any number of
   * workers may call this at the same time, because only one of them moves the position. If an event belongs to a tenant that
   * only a newer tenants file knows, that event and all later events wait until a worker with the newer file calls.
   * @returns `more`: more events are left; `soon`: some events may be readable in a moment; `done`: this worker has
   * nothing to do now, because no events are left, or because another worker has to turn them into deliveries
   */
  async run(tenants: Pick<TenantsFile, "get" | "generation">): Promise<"more" | "soon" | "done"> {
    const { newest, settled } = await this.#horizon.advance();
    const rest = settled < newest ? "soon" : "done";
    const position = await this.#position();
    if (settled <= BigInt(position)) return rest;
    const page = await this.#trail.ofAll(position, pageSize, String(settled));
    const unread = page.findIndex(
      ({ tenant, tenantsGeneration }) =>
        tenants.get(tenant) === undefined && isBehind(tenants.generation, tenantsGeneration),
    );
    const events = unread === -1 ? page : page.slice(0, unread);
    const isAll = page.length < pageSize && unread === -1;
    const last = isAll ? String(settled) : events.at(-1)?.id;
    if (last === undefined) return "done";
    const isMine = await this.#add(position, last, deliveriesOf(events, tenants));
    return !isMine || unread !== -1 ? "done" : isAll ? rest : "more";
  }

  /**
   * The last event whose deliveries exist. During an upgrade, a worker of an older version, which does not stop at the
   * horizon, may miss an event. Such a worker moves only `event_id`. So this version turns the events after `settled_id` into
   * deliveries again, but none whose id is more than `repeated` below `event_id`.
   */
  async #position(): Promise<string> {
    const { position } = await this.database
      .selectFrom("webhook_position")
      .select(sql<string>`greatest(settled_id, event_id - ${repeated}::bigint)`.as("position"))
      .executeTakeFirstOrThrow();
    return position;
  }

  /** Creates the deliveries and moves the position. False: another worker has moved the position, so nothing was done. */
  async #add(from: string, to: string, deliveries: NewDelivery[]): Promise<boolean> {
    const column = <K extends keyof NewDelivery>(key: K) => deliveries.map((delivery) => delivery[key]);
    const { rows } = await sql`
      with moved as (
        update webhook_position set settled_id = ${to}, event_id = greatest(event_id, ${to}::bigint)
        where greatest(settled_id, event_id - ${repeated}::bigint) = ${from}
        returning settled_id
      ), added as (
        insert into webhook_deliveries (tenant, url, event_id, tenants_generation)
        select delivery.* from unnest(
          ${column("tenant")}::text[], ${column("url")}::text[], ${column("eventId")}::bigint[],
          ${column("tenantsGeneration")}::float8[]) as delivery, moved
        on conflict on constraint webhook_deliveries_once do nothing
      )
      select from moved`.execute(this.database);
    return rows.length > 0;
  }
}
