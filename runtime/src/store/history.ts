/**
 * Deletes old records. Each call changes one small batch with one statement. The batch takes one record of each tenant
 * before the second record of any tenant. Other processes do not write to the rows that are deleted, except if somebody
 * sends a dead delivery again. So hardly any process waits for the batch. The statements pass the ids as an array, because
 * Postgres then always looks the rows up by the index.
 */
import { type RawBuilder, sql } from "kysely";
import { isUse } from "./auditTrail.ts";
import type { Database } from "./database.ts";
import { dueByTenant } from "./dueByTenant.ts";

/** How many records one call deletes or changes. */
export const historyBatch = { sessions: 50, events: 200, deliveries: 200, keys: 200 } as const;

/**
 * The maximum number of events of one session that one call of `expireSessions` deletes. If a call deletes this many, the session
 * itself stays, because more of its events may be left. The next call continues.
 */
const eventsOfSession = 200;

const ago = (seconds: number) => sql`now() - ${seconds} * interval '1 second'`;

export class History {
  constructor(private readonly database: Database) {}

  /**
   * Deletes sessions that ended more than `seconds` seconds ago, with their events, deliveries, logs and grants. A session
   * stays as long as its workspace is kept, until its usage is counted, and for an hour after its last change, because that
   * change may still be on its way to webhooks.
   * @returns how many sessions were due
   */
  async expireSessions(seconds: number): Promise<number> {
    const due = dueByTenant({
      table: "sessions",
      condition: sql<boolean>`ended_at is not null and workspace_until is null`,
      order: sql`ended_at`,
      reads: ["usage_counted", "ended_at", "updated_at"],
      isDue: sql<boolean>`usage_counted and ended_at < ${ago(seconds)} and updated_at < ${ago(3_600)}`,
      limit: historyBatch.sessions,
    });
    return this.#count(sql`
      with recursive ${due}, old_events as materialized (
        select event.id, event.session_id from due cross join lateral (
          select id, session_id from session_events where session_id = due.id limit ${eventsOfSession}) as event
      ), gone_events as (
        delete from session_events where id = any(array(select id from old_events))
      ), unfinished as (
        select session_id from old_events group by session_id having count(*) = ${eventsOfSession}
      ), gone as (
        delete from sessions
        where id = any(array(select id from due where id not in (select session_id from unfinished)))
      )
      select count(*) as count from due`);
  }

  /**
   * Deletes uses and progress reports that are older than `seconds` seconds, because they changed no session's state. The
   * other events stay as long as their session, because they are its history.
   */
  async expireEvents(seconds: number): Promise<number> {
    const due = dueByTenant({
      table: "session_events",
      condition: isUse,
      order: sql`id`,
      reads: ["at"],
      isDue: sql<boolean>`at < ${ago(seconds)}`,
      limit: historyBatch.events,
    });
    return this.#count(sql`
      with recursive ${due}, gone as (
        delete from session_events where id = any(array(select id from due))
      )
      select count(*) as count from due`);
  }

  /** Deletes dead deliveries that are older than `seconds` seconds. */
  async expireDeliveries(seconds: number): Promise<number> {
    const due = dueByTenant({
      table: "webhook_deliveries",
      condition: sql<boolean>`state = 'dead'`,
      order: sql`created_at, id`,
      reads: ["created_at"],
      isDue: sql<boolean>`created_at < ${ago(seconds)}`,
      limit: historyBatch.deliveries,
    });
    return this.#count(sql`
      with recursive ${due}, gone as (
        delete from webhook_deliveries where id = any(array(select id from due)) and state = 'dead'
      )
      select count(*) as count from due`);
  }

  /** Forgets the idempotency keys of sessions that were created more than `seconds` seconds ago. */
  async forgetKeys(seconds: number): Promise<number> {
    const due = dueByTenant({
      table: "sessions",
      condition: sql<boolean>`idempotency_key is not null`,
      order: sql`created_at`,
      reads: ["created_at"],
      isDue: sql<boolean>`created_at < ${ago(seconds)}`,
      limit: historyBatch.keys,
    });
    return this.#count(sql`
      with recursive ${due}, changed as (
        update sessions set idempotency_key = null, request_hash = null where id = any(array(
          select id from sessions where id = any(array(select id from due)) for update skip locked))
      )
      select count(*) as count from due`);
  }

  async #count(statement: RawBuilder<unknown>): Promise<number> {
    const { rows } = await (statement as RawBuilder<{ count: string }>).execute(this.database);
    return Number(rows[0]?.count ?? 0);
  }
}
