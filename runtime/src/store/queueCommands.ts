/**
 * Writes what the planner has decided about queued sessions. One statement changes many sessions, and appends an event to the
 * audit trail for each session that leaves the queue. The statement leaves out a session that has changed since the planner
 * read it.
 */
import { sql } from "kysely";
import type { TenantsFile } from "../config/tenantsFile.ts";
import type { Actor } from "../domain/event.ts";
import type { Session } from "../domain/session.ts";
import { type SessionEvent, type Status, transition } from "../domain/states/state.ts";
import { auditedColumns, logEvents } from "./auditTrail.ts";
import { changesOf } from "./changes.ts";
import type { Database } from "./database.ts";
import { newestOf } from "./generations.ts";

/** A queued session as the planner has read it. */
type ReadSession = Pick<Session, "id" | "version">;

/** The values that differ from session to session. */
interface Change extends ReadSession {
  reason: string | null;
  awaitsRoom: boolean;
  /** Default: the turn stays. */
  turn?: number;
}

/** The status of every queued session, apart from the reason. */
const queued: Status = {
  state: "queued",
  reason: null,
  cause: null,
  endsAs: null,
  podIp: null,
  resumes: false,
  stalled: false,
};

const actor: Actor = { name: "worker" };

/** The changes as the table `planned`, which the statements join with the sessions. */
function planned(changes: readonly Change[]) {
  const column = <K extends keyof Change>(key: K) => changes.map((change) => change[key] ?? null);
  return sql<Record<"id" | "version" | "reason" | "turn" | "awaits_room", never>>`
    unnest(${column("id")}::uuid[], ${column("version")}::integer[], ${column("reason")}::text[],
      ${column("turn")}::integer[], ${column("awaitsRoom")}::boolean[])`.as<"planned">(
    sql`planned (id, version, reason, turn, awaits_room)`,
  );
}

export class QueueCommands {
  constructor(
    private readonly database: Database,
    private readonly tenants: Pick<TenantsFile, "generation">,
    private readonly onEvents: () => void,
  ) {}

  /**
   * Lets the sessions leave the queue. Returns the ids of those that did, in the given order.
   *
   * Two planners at the same time can't fill the same free room, although no lock is held while a planning reads and decides.
   * A former leader that was frozen may still believe that it leads. So each planning first reads how many statements have admitted
   * sessions (`admissions`), and this statement admits sessions only if none has done so since then. Only admissions take room
   * from other queued sessions. The statement adds 1 to the count, so of two statements with the same count the second one waits
   * for the row of the first one, and then admits nothing.
   */
  async admit(sessions: readonly (ReadSession & { turn: number })[], admissions: string): Promise<string[]> {
    const changes = sessions.map((one) => ({ ...one, reason: null, awaitsRoom: false }));
    return this.#change({ type: "admitted" }, changes, admissions);
  }

  /** Ends the sessions, because the cluster or the tenant's config will never accept them. Returns the ids of those that end. */
  async reject(sessions: readonly (ReadSession & { reason: string })[]): Promise<string[]> {
    const changes = sessions.map((one) => ({ ...one, awaitsRoom: false }));
    return this.#change({ type: "fail", cause: "rejected", reason: "" }, changes);
  }

  /**
   * Stores what the sessions wait for: the reason for users, and whether they wait for their tenant's own limits. The version
   * and the audit trail do not change.
   */
  async wait(sessions: readonly (ReadSession & { reason: string; awaitsRoom: boolean })[]): Promise<void> {
    await sql`
      update sessions set reason = planned.reason, awaits_room = planned.awaits_room, updated_at = now(),
        tenants_generation = ${newestOf(this.tenants)}
      from ${planned(sessions)}
      where sessions.id = planned.id and sessions.version = planned.version and state = 'queued'`.execute(
      this.database,
    );
  }

  /**
   * Applies the event to the queued sessions, each with its own values. With `admissions`: only if the count of admissions is
   * still this one.
   */
  async #change(event: SessionEvent, changes: readonly Change[], admissions?: string): Promise<string[]> {
    const rows = await this.database
      .with("fence", (db) =>
        db
          .updateTable("planning")
          .set({ admissions: sql`admissions + 1` })
          .where("admissions", "=", admissions ?? null)
          .returning("admissions"),
      )
      .with("changed", (db) =>
        db
          .updateTable("sessions")
          .from(planned(changes))
          .set({
            ...changesOf(queued, transition(queued, event) ?? queued, event),
            reason: sql`planned.reason`,
            awaits_room: sql`planned.awaits_room`,
            turn: sql`coalesce(planned.turn, sessions.turn)`,
            version: sql`sessions.version + 1`,
            updated_at: sql`now()`,
            tenants_generation: newestOf(this.tenants),
          })
          .whereRef("sessions.id", "=", "planned.id")
          .whereRef("sessions.version", "=", "planned.version")
          .where("sessions.state", "=", "queued")
          .$if(admissions !== undefined, (query) => query.where(sql<boolean>`exists (select from fence)`))
          .returning(auditedColumns.map((name) => `sessions.${name}` as const)),
      )
      .with("logged", logEvents("changed", event.type, actor))
      .selectFrom("changed")
      .select("id")
      .execute();
    if (rows.length > 0) this.onEvents();
    const changed = new Set(rows.map(({ id }) => id));
    return changes.map(({ id }) => id).filter((id) => changed.has(id));
  }
}
