/** What changes sessions that exist: each change is one statement that compares the version, sets, and appends to the audit trail. */
import { sql } from "kysely";
import type { TenantsFile } from "../config/tenantsFile.ts";
import type { Actor, Use } from "../domain/event.ts";
import type { Session } from "../domain/session.ts";
import { finalStates, isFinal, podStates, type SessionEvent, type State, transition } from "../domain/state.ts";
import { auditedColumns, logEvents } from "./auditTrail.ts";
import { changesOf } from "./changes.ts";
import type { Database } from "./database.ts";
import { isIdle } from "./deadlines.ts";
import { newestOf } from "./generations.ts";
import { sessionColumns } from "./sessionColumns.ts";
import { SessionQueries } from "./sessionQueries.ts";

/** The session as it is now. `refusal` says to people why it was not changed; null: it is as was asked for. */
export interface Changed {
  session: Session;
  refusal: string | null;
}

export class SessionCommands {
  readonly #queries: SessionQueries;

  constructor(
    private readonly database: Database,
    private readonly tenants: Pick<TenantsFile, "generation">,
  ) {
    this.#queries = new SessionQueries(database);
  }

  /**
   * Applies the event to the session as it was seen. Returns the new session; `"unchanged"` if the event means nothing in
   * that state; `"stale"` if the session has changed since it was seen: look again. With `ifIdle`: also `"stale"` if it is
   * not idle any more, because somebody touched it, which changes no version.
   */
  async apply(
    seen: Session,
    event: SessionEvent,
    actor: Actor,
    { ifIdle = false }: { ifIdle?: boolean } = {},
  ): Promise<Session | "unchanged" | "stale"> {
    const next = transition(seen, event);
    if (next === undefined) return "unchanged";
    const row = await this.database
      .with("changed", (db) =>
        db
          .updateTable("sessions")
          .set({
            ...changesOf(seen, next, event),
            version: seen.version + 1,
            updated_at: sql`now()`,
            tenants_generation: newestOf(this.tenants),
          })
          .where("id", "=", seen.id)
          .where("version", "=", seen.version)
          .$if(ifIdle, (query) => query.where(isIdle))
          .returning(sessionColumns),
      )
      .with("logged", logEvents("changed", event.type, actor))
      .selectFrom("changed")
      .selectAll()
      .executeTakeFirst();
    return row ?? "stale";
  }

  /** Asks the tenant's session to stop. Returns it as it is then, also if it was stopping or final before; undefined if there is none. */
  async stop(id: string, tenant: string, reason: string, actor: Actor): Promise<Session | undefined> {
    return (await this.#change(id, tenant, { type: "stop", cause: "user", reason }, actor))?.session;
  }

  /** Asks for the pod to go and the workspace to stay. Refused unless the session runs and has a workspace that can stay. */
  async suspend(id: string, tenant: string, actor: Actor): Promise<Changed | undefined> {
    const seen = await this.#queries.find(id, tenant);
    if (seen?.workspaceMode === "ephemeral") {
      return { session: seen, refusal: "The session's workspace is ephemeral: it would be lost with the pod." };
    }
    const event = { type: "suspend", reason: "Suspended by the user" } as const;
    const result = await this.#change(id, tenant, event, actor);
    if (result === undefined) return undefined;
    const { session } = result;
    const ok = session.state === "suspended" || (session.state === "suspending" && !session.resumes);
    return { session, refusal: ok ? null : `The session is ${session.state}; only a running one can be suspended.` };
  }

  /** Asks for the session to come up again with its workspace. Refused unless it is suspending or suspended. */
  async resume(id: string, tenant: string, actor: Actor): Promise<Changed | undefined> {
    const result = await this.#change(id, tenant, { type: "resume", reason: "Resumed by the user" }, actor);
    if (result === undefined) return undefined;
    const { session, changed } = result;
    const ok = changed || ["queued", "starting", "running"].includes(session.state) || session.resumes;
    return { session, refusal: ok ? null : `The session is ${session.state}; only a suspended one can be resumed.` };
  }

  /**
   * Lets the session run for `seconds` more than its maximum lifetime, but for `limitSeconds` in all at most (null: no
   * limit), and counts as activity. Refused, and the row stays as it is, if the session is ending or has no maximum lifetime.
   */
  async extend(
    id: string,
    tenant: string,
    seconds: number,
    limitSeconds: number | null,
    actor: Actor,
  ): Promise<Changed | undefined> {
    const longer = sql<number>`greatest(max_lifetime_seconds,
      least(max_lifetime_seconds::bigint + ${seconds}, coalesce(${limitSeconds}::integer, 2147483647)))`;
    const row = await this.database
      .with("changed", (db) =>
        db
          .updateTable("sessions")
          .set({
            max_lifetime_seconds: longer,
            last_active_at: sql`now()`,
            version: sql`version + 1`,
            tenants_generation: newestOf(this.tenants),
            // Of a start it says when that got on last; see admission. To wish for more time is no such thing.
            updated_at: sql`case when state = 'starting' then updated_at else now() end`,
          })
          .where("id", "=", id)
          .where("tenant", "=", tenant)
          .where("state", "not in", ["stopping", ...finalStates])
          .where("max_lifetime_seconds", "is not", null)
          .returning(sessionColumns),
      )
      .with("logged", logEvents("changed", "extend", actor))
      .selectFrom("changed")
      .selectAll()
      .executeTakeFirst();
    if (row !== undefined) return { session: row, refusal: null };
    const session = await this.#queries.find(id, tenant);
    if (session === undefined) return undefined;
    const endless = session.maxLifetimeSeconds === null && session.state !== "stopping" && !isFinal(session.state);
    const why = endless ? "The session has no maximum lifetime, so there is nothing to extend." : undefined;
    return { session, refusal: why ?? `The session is ${session.state}; it can't be extended.` };
  }

  /** Notes that something happens in the session, so that it isn't idle. No change of state, and at most one write in 5 s. */
  async touch(...ids: string[]): Promise<void> {
    await this.database
      .updateTable("sessions")
      .set({ last_active_at: sql`now()` })
      .where("id", "in", ids)
      .where("state", "not in", ["stopping", ...finalStates])
      .where(sql<boolean>`coalesce(last_active_at < now() - interval '5 seconds', true)`)
      .execute();
  }

  /** Notes how far the agent is, for those who look on; a line of the audit trail too. Whoever calls bounds the rate. */
  async noteProgress(id: string, message: string, percent: number | null, actor: Actor): Promise<void> {
    await this.database
      .with("changed", (db) =>
        db
          .updateTable("sessions")
          .set({ progress: JSON.stringify({ message, percent }), last_active_at: sql`now()` })
          .where("id", "=", id)
          .where("state", "in", podStates)
          .returning(auditedColumns),
      )
      .with("logged", logEvents("changed", "progress", actor, percent === null ? message : `${message} (${percent} %)`))
      .selectFrom("changed")
      .select("id")
      .execute();
  }

  /**
   * Notes in the audit trail who does what in the tenant's session, and returns the session; undefined, and nothing is
   * noted, if there is none or it is in none of the states. Default: it must run.
   */
  async noteUse(
    id: string,
    tenant: string,
    use: Use,
    what: string,
    actor: Actor,
    inStates: readonly State[] = ["running"],
  ): Promise<Session | undefined> {
    return this.database
      .with("changed", (db) =>
        db
          .selectFrom("sessions")
          .select(sessionColumns)
          .where("id", "=", id)
          .where("tenant", "=", tenant)
          .where("warm", "is", null)
          .where("state", "in", inStates),
      )
      .with("logged", logEvents("changed", use, actor, what))
      .selectFrom("changed")
      .selectAll()
      .executeTakeFirst();
  }

  /** Applies the event, again and again while others change the session. */
  async #change(
    id: string,
    tenant: string,
    event: SessionEvent,
    actor: Actor,
  ): Promise<{ session: Session; changed: boolean } | undefined> {
    for (;;) {
      const seen = await this.#queries.find(id, tenant);
      if (seen === undefined) return undefined;
      const result = await this.apply(seen, event, actor);
      if (result === "unchanged") return { session: seen, changed: false };
      if (result !== "stale") return { session: result, changed: true };
    }
  }
}
