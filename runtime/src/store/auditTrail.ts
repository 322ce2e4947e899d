/**
 * Appends events to the audit trail, and reads them. The statement that makes a change also appends the change's event, so
 * both commit together, and no transaction stays open between them. domain/eventHorizon.ts explains up to which event a
 * reader may read.
 */
import { isIP } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type QueryCreator, sql } from "kysely";
import { type Actor, type LoggedEvent, uses } from "../domain/event.ts";
import { type Horizon, horizonAfter } from "../domain/eventHorizon.ts";
import { type Database, keptPlan } from "./database.ts";
import type { Schema } from "./schema.ts";

/** The columns of a session that an event of the audit trail needs. */
export const auditedColumns = ["id", "tenant", "warm", "state", "reason", "version"] as const;

/**
 * A condition on events: a use or a progress report, which changes no state. The index `session_events_of_uses` has the
 * same condition.
 */
export const isUse = sql<boolean>`type in (${sql.join(["progress", ...uses].map((type) => sql.lit(type)))})`;

/**
 * The IP address in the text; null if there is none. Some proxies write the client's port after the address:
 * `192.0.2.1:5000`.
 */
export function addressOf(address = ""): string | null {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)$/.exec(address) ?? [];
  const ip = bracketed ?? plain ?? address;
  return isIP(ip) ? ip : null;
}

/**
 * Appends an event to the audit trail for each row of the common table expression `source`, in the same statement. An event
 * of a warm session has no tenant, because no user sees the events before the session's claim.
 * @param reason default: the session's reason
 */
export const logEvents = (source: "created" | "changed", type: string, actor: Actor, reason?: string) =>
  appendEvents(source, { type, actor: actor.name, address: addressOf(actor.address), reason });

/** What the audit trail gets from the statement's caller. */
interface Appended {
  type: string;
  actor: string;
  /** An IP address. */
  address: string | null;
  /** Undefined: the session's reason. */
  reason: string | undefined;
}

/** Does the same as `logEvents`, with values as Postgres gets them. */
export const appendEvents =
  (source: "created" | "changed", { type, actor, address, reason }: Appended) =>
  (db: QueryCreator<Schema>) =>
    db
      .insertInto("session_events")
      .columns(["session_id", "tenant", "type", "state", "reason", "version", "actor", "address"])
      .expression(sql<never>`
        select id, case when warm is null then tenant end, ${type}::text, state,
          ${reason === undefined ? sql.ref("reason") : sql`${reason}::text`}, version,
          ${actor}::text, ${address}::inet
        from ${sql.ref(source)}`);

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

/** An event, its tenant, and the newest generation of the tenants file with which a process has changed the event's session. */
export type OwnedEvent = LoggedEvent & { tenant: string; tenantsGeneration: number };

/** Reads the audit trail. A reader that stops at the horizon (EventHorizon) and continues there misses no event. */
export class AuditTrail {
  /** @param longestSeconds a transaction that is older than this is not one of Berth's statements; see `EventHorizon.advance` */
  constructor(
    private readonly database: Database,
    private readonly longestSeconds = longestStatementSeconds,
  ) {}

  /**
   * At most `limit` events of the tenant, or of one of its sessions, after the event `afterId` ("0": from the start) and up to
   * the event `upTo`, oldest first. Without `upTo`, the result may lack an event that becomes visible later.
   */
  async ofTenant(
    { tenant, sessionId }: { tenant: string; sessionId?: string | undefined },
    afterId: string,
    limit: number,
    upTo?: string,
  ): Promise<LoggedEvent[]> {
    let query = this.database
      .selectFrom("session_events as event")
      .where("event.tenant", "=", tenant)
      .where("event.id", ">", afterId)
      .select(eventColumns)
      .orderBy("event.id")
      .limit(limit);
    if (sessionId !== undefined) query = query.where("event.session_id", "=", sessionId);
    if (upTo !== undefined) query = query.where("event.id", "<=", upTo);
    return query.execute();
  }

  /** Does the same as `ofTenant` for the events of all tenants. */
  async ofAll(afterId: string, limit: number, upTo?: string): Promise<OwnedEvent[]> {
    let query = this.database
      .selectFrom("session_events as event")
      .innerJoin("sessions", "sessions.id", "event.session_id")
      .where("event.id", ">", afterId)
      .select(eventColumns)
      .select([sql<string>`event.tenant`.as("tenant"), "sessions.tenants_generation as tenantsGeneration"])
      .where("event.tenant", "is not", null)
      .orderBy("event.id")
      .limit(limit);
    if (upTo !== undefined) query = query.where("event.id", "<=", upTo);
    return query.execute();
  }

  /**
   * Returns the id of the newest event that is visible at the call; "0" if there is no event. To make sure that every event
   * up to that id is visible, waits for the statements that append events now. Each of these statements has a time limit.
   */
  async newestId(): Promise<string> {
    const horizon = this.horizon();
    let { newest, settled } = await horizon.advance();
    for (const target = newest; settled < target; { settled } = await horizon.advance()) await sleep(horizonPollMs);
    return String(newest);
  }

  /** A horizon for one reader, which has all events up to `settledId`, a former result of `newestId`. Default: "0". */
  horizon(settledId = "0"): EventHorizon {
    return new EventHorizon(this.database, settledId, this.longestSeconds);
  }
}

/** How many milliseconds a reader waits for the statements that append events, before it advances its horizon again. */
export const horizonPollMs = 10;

/** Three times the time limit of a statement, in seconds; see database.ts. */
const longestStatementSeconds = 30;

/** Finds out up to which event the audit trail is complete. Each call of `advance` may find out more. */
export class EventHorizon {
  #horizon: Horizon;

  constructor(
    private readonly database: Database,
    settledId: string,
    private readonly longestSeconds: number,
  ) {
    this.#horizon = { settled: BigInt(settledId) };
  }

  /**
   * Reads the audit trail's state once. Statements that begin later see all events whose ids are at most `settled`. If `settled`
   * is less than `newest`, the next call may return a higher `settled`.
   *
   * A statement that may append events holds Postgres' lock of the table in the mode of writers, from before it takes an id
   * until its event is visible. That lock keeps no other writer waiting. Only transactions that hold this lock in this
   * database count. Dumps and statements in other databases do not count. Neither does a transaction that is older than
   * `longestSeconds`: no statement of Berth that appends events takes so long, so the transaction is somebody
   * else's. For example, an operator left it open.
   */
  async advance(): Promise<{ newest: bigint; settled: bigint }> {
    const { rows } = await sql<{ newest: string; writers: string[] }>`
      select coalesce((select max(id) from session_events), 0)::text as newest,
        array(
          select virtualtransaction
          from pg_locks cross join lateral pg_stat_get_activity(pg_locks.pid) as activity
          where coalesce(activity.xact_start > clock_timestamp() - ${this.longestSeconds} * interval '1 second', true)
            and locktype = 'relation' and relation = 'session_events'::regclass and mode = 'RowExclusiveLock' and granted
            and database = (select oid from pg_database where datname = current_database())) as writers
      ${keptPlan}`.execute(this.database);
    const [{ newest, writers } = { newest: "0", writers: [] }] = rows;
    this.#horizon = horizonAfter(this.#horizon, { newest: BigInt(newest), writers });
    return { newest: BigInt(newest), settled: this.#horizon.settled };
  }
}
