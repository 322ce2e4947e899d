/** The audit trail: how rows get into it, and how they are read again. */
import { isIP } from "node:net";
import { type QueryCreator, sql } from "kysely";
import type { Actor, LoggedEvent } from "../domain/event.ts";
import type { Database } from "./database.ts";
import type { Schema } from "./schema.ts";

/** What a line of the audit trail takes from its session. */
export const auditedColumns = ["id", "state", "reason", "version"] as const;

/** The IP address that the text names; null if it names none. Some proxies write the client's port behind it: `192.0.2.1:5000`. */
export function addressOf(address = ""): string | null {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)$/.exec(address) ?? [];
  const ip = bracketed ?? plain ?? address;
  return isIP(ip) ? ip : null;
}

/**
 * Appends to the audit trail, in the same statement, what the common table `source` made or changed. The lock, held till the
 * commit, has ids grow in the order of commits, so that a reader who goes on after the last id that it saw misses nothing.
 * @param reason default: the session's
 */
export const logEvents =
  (source: "created" | "changed", type: string, actor: Actor, reason?: string) => (db: QueryCreator<Schema>) =>
    db
      .insertInto("session_events")
      .columns(["session_id", "type", "state", "reason", "version", "actor", "address"])
      .expression(sql<never>`
        select id, ${type}::text, state, ${reason === undefined ? sql.ref("reason") : sql`${reason}::text`}, version,
          ${actor.name}::text, ${addressOf(actor.address)}::inet
        from ${sql.ref(source)}, (select pg_advisory_xact_lock(hashtext('session_events'))) as in_order`);

/** A session that was made ahead begins for its owner when it is given out. */
const sinceOwned = sql<boolean>`sessions.warm is null and event.at >= sessions.created_at`;

const eventColumns = [
  "event.id",
  "event.session_id as sessionId",
  "event.at",
  "event.type",
  "event.state",
  "event.reason",
  "event.version",
  "event.actor",
  "event.address",
] as const;

/** The audit trail, to read: ids grow in the order of commits, so who has seen one has seen all before it. */
export class AuditTrail {
  constructor(private readonly database: Database) {}

  /** At most `limit` events of the tenant, or of one of its sessions, after the event `afterId` ("0": all), oldest first. */
  async ofTenant(
    { tenant, sessionId }: { tenant: string; sessionId?: string | undefined },
    afterId: string,
    limit: number,
  ): Promise<LoggedEvent[]> {
    let query = this.database
      .selectFrom("session_events as event")
      .innerJoin("sessions", "sessions.id", "event.session_id")
      .where("sessions.tenant", "=", tenant)
      .where("event.id", ">", afterId)
      .where(sinceOwned)
      .select(eventColumns)
      .orderBy("event.id")
      .limit(limit);
    if (sessionId !== undefined) query = query.where("event.session_id", "=", sessionId);
    return query.execute();
  }

  /** At most `limit` events after the event `afterId`, of everybody, oldest first, each with its session's tenant and generation. */
  async ofAll(
    afterId: string,
    limit: number,
  ): Promise<(LoggedEvent & { tenant: string; tenantsGeneration: number })[]> {
    return this.database
      .selectFrom("session_events as event")
      .innerJoin("sessions", "sessions.id", "event.session_id")
      .where("event.id", ">", afterId)
      .where(sinceOwned)
      .select(eventColumns)
      .select(["sessions.tenant", "sessions.tenants_generation as tenantsGeneration"])
      .orderBy("event.id")
      .limit(limit)
      .execute();
  }

  /** The id of the newest event of all, where to begin if only what comes from now on matters; "0" if there is none. */
  async newestId(): Promise<string> {
    const { newest } = await this.database
      .selectFrom("session_events")
      .select(({ fn }) => fn.max("id").as("newest"))
      .executeTakeFirstOrThrow();
    return newest ?? "0";
  }
}
