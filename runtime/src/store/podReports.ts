/** Stores what sessions' pods report: whether a session is active, and the agent's progress. */
import { sql } from "kysely";
import type { Actor } from "../domain/event.ts";
import type { Session } from "../domain/session.ts";
import { endingStates, podStates } from "../domain/states/state.ts";
import { auditedColumns, logEvents } from "./auditTrail.ts";
import { type Database, keptPlan } from "./database.ts";
import { isActivityDue } from "./deadlines.ts";

/**
 * The audit trail has at most one event `progress` of a session in this many seconds, whichever processes get the reports. An
 * agent may report its progress each second for days, and webhooks get these events.
 */
export const progressSeconds = 30;

/** What a session's pod reports at intervals. */
export interface PodReport {
  id: string;
  /** Whether the session had activity just now, apart from a running command. */
  isActive: boolean;
  runsCommand: boolean;
}

export class PodReports {
  /** @param onEvents called after events were appended to the audit trail */
  constructor(
    private readonly database: Database,
    private readonly onEvents: () => void,
  ) {}

  /**
   * Takes the reports of pods, all in one statement, and records the activity in their sessions. For a warm session, each report
   * counts as activity, because a claim needs to know whether the pod lives; see warmClaim.ts.
   * @param quiet the tenants in whose sessions a running command does not count as activity
   * @returns those of the sessions that exist
   */
  async take(reports: readonly PodReport[], quiet: string[]): Promise<Pick<Session, "id" | "tenant" | "state">[]> {
    const column = <K extends keyof PodReport>(key: K) => reports.map((report) => report[key]);
    const { rows } = await sql<Pick<Session, "id" | "tenant" | "state">>`
      with reported as (
        select * from unnest(${column("id")}::uuid[], ${column("isActive")}::boolean[], ${column("runsCommand")}::boolean[])
          as report (id, is_active, runs_command)
      ), touched as (
        update sessions set last_active_at = now() from reported
        where sessions.id = reported.id
          and (warm is not null or is_active or (runs_command and tenant <> all(${quiet}::text[])))
          and state::text <> all(${endingStates}::text[])
          and ${isActivityDue}
      )
      select sessions.id, tenant, state from sessions join reported on reported.id = sessions.id
      ${keptPlan}`.execute(this.database);
    return rows;
  }

  /**
   * Stores the agent's progress, which replaces the progress before. Also appends it to the audit trail, but not if an earlier
   * progress of the session was appended in the last `progressSeconds`.
   */
  async noteProgress(id: string, message: string, percent: number | null, actor: Actor): Promise<void> {
    const isDue = sql`coalesce(progress_logged_at < now() - ${progressSeconds} * interval '1 second', true)`;
    const logged = await this.database
      .with("noted", (db) =>
        db
          .updateTable("sessions")
          .set({
            progress: JSON.stringify({ message, percent }),
            last_active_at: sql`now()`,
            progress_logged_at: sql`case when ${isDue} then now() else progress_logged_at end`,
          })
          .where("id", "=", id)
          .where("state", "in", podStates)
          .returning([...auditedColumns, "progress_logged_at"]),
      )
      .with("changed", (db) => db.selectFrom("noted").selectAll().where("progress_logged_at", "=", sql<Date>`now()`))
      .with("logged", logEvents("changed", "progress", actor, percent === null ? message : `${message} (${percent} %)`))
      .selectFrom("changed")
      .select("id")
      .executeTakeFirst();
    if (logged !== undefined) this.onEvents();
  }
}
