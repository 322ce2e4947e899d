/**
 * Changes existing sessions. Each change that the audit trail records is one statement, which updates the row and appends
 * the event. For a use, the statement only appends the event. A statement that changes the state or the reason also
 * compares the version.
 */
import { sql } from "kysely";
import type { TenantsFile } from "../config/tenantsFile.ts";
import type { Actor, Use } from "../domain/event.ts";
import type { Session } from "../domain/session.ts";
import { endingStates, isEnding, type SessionEvent, type State, transition } from "../domain/states/state.ts";
import { addressOf, appendEvents, logEvents } from "./auditTrail.ts";
import { changesOf } from "./changes.ts";
import { type Database, keptPlan } from "./database.ts";
import { isActivityDue, isIdle } from "./deadlines.ts";
import { frequent } from "./frequent.ts";
import { newestOf } from "./generations.ts";
import { sessionColumns } from "./sessionColumns.ts";
import { SessionQueries } from "./sessionQueries.ts";

/**
 * The session as it is now. `refusal`: why the session was not changed, as a text for users; null: the request was
 * fulfilled.
 */
export interface Changed {
  session: Session;
  refusal: string | null;
}

/** A use of a session, as Postgres gets it. */
interface LoggedUse {
  id: string;
  tenant: string;
  /** Only a use in these states is recorded. */
  states: readonly State[];
  use: Use;
  what: string;
  actor: string;
  address: string | null;
}

const logUse = frequent((database, { id, tenant, states, use, what, actor, address }: LoggedUse) =>
  database
    .with("changed", (db) =>
      db
        .selectFrom("sessions")
        .select(sessionColumns)
        .where("id", "=", id)
        .where("tenant", "=", tenant)
        .where("warm", "is", null)
        .where(sql<boolean>`state = any(${states}::text[])`),
    )
    .with("logged", appendEvents("changed", { type: use, actor, address, reason: what }))
    .selectFrom("changed")
    .selectAll()
    .modifyEnd(keptPlan),
);

export class SessionCommands {
  readonly #queries: SessionQueries;

  constructor(
    private readonly database: Database,
    private readonly tenants: Pick<TenantsFile, "generation">,
    private readonly onEvents: () => void,
  ) {
    this.#queries = new SessionQueries(database);
  }

  /**
   * Applies the event to the session that the caller has read (`before`). Returns the changed session; `"unchanged"` if the
   * event has no effect in that state; `"stale"` if the session has changed since it was read, so that the caller has to
   * read it again. With `ifIdle`, the result is also `"stale"` if the session is not idle any more, because activity does
   * not change the version. A new reason to wait (`setReason`) does not change the version either: each later event sets its
   * own reason, so it does not matter which reason its caller has read.
   */
  async apply(
    before: Session,
    event: SessionEvent,
    actor: Actor,
    { ifIdle = false }: { ifIdle?: boolean } = {},
  ): Promise<Session | "unchanged" | "stale"> {
    const next = transition(before, event);
    if (next === undefined) return "unchanged";
    const isLogged = event.type !== "setReason";
    const change = this.database.with("changed", (db) =>
      db
        .updateTable("sessions")
        .set({
          ...changesOf(before, next, event),
          version: before.version + (isLogged ? 1 : 0),
          updated_at: sql`now()`,
          tenants_generation: newestOf(this.tenants),
        })
        .where("id", "=", before.id)
        .where("version", "=", before.version)
        .$if(ifIdle, (query) => query.where(isIdle))
        .returning(sessionColumns),
    );
    const statement = isLogged ? change.with("logged", logEvents("changed", event.type, actor)) : change;
    const row = await statement.selectFrom("changed").selectAll().executeTakeFirst();
    if (row === undefined) return "stale";
    if (isLogged) this.onEvents();
    return row;
  }

  /**
   * Asks the tenant's session to stop. Returns the session, even if it was stopping or final already; undefined if the
   * tenant has no such session.
   */
  async stop(id: string, tenant: string, reason: string, actor: Actor): Promise<Session | undefined> {
    return (await this.#change(id, tenant, { type: "stop", cause: "user", reason }, actor))?.session;
  }

  /**
   * Asks to delete the pod and keep the workspace. Refused if the workspace is ephemeral, or if the session is neither
   * running nor suspending nor suspended.
   */
  async suspend(id: string, tenant: string, actor: Actor): Promise<Changed | undefined> {
    const before = await this.#queries.find(id, tenant);
    if (before?.workspaceMode === "ephemeral") {
      return { session: before, refusal: "The session's workspace is ephemeral: it would be lost with the pod." };
    }
    const event = { type: "suspend", reason: "Suspended by the user" } as const;
    const result = await this.#change(id, tenant, event, actor);
    if (result === undefined) return undefined;
    const { session } = result;
    const ok = session.state === "suspended" || (session.state === "suspending" && !session.resumes);
    return {
      session,
      refusal: ok ? null : `The session is ${session.state}; only a running session can be suspended.`,
    };
  }

  /** Asks to start the suspended session again with its workspace. Refused if the session is ending or has ended. */
  async resume(id: string, tenant: string, actor: Actor): Promise<Changed | undefined> {
    const result = await this.#change(id, tenant, { type: "resume", reason: "Resumed by the user" }, actor);
    if (result === undefined) return undefined;
    const { session, changed } = result;
    const ok = changed || ["queued", "starting", "running"].includes(session.state) || session.resumes;
    return {
      session,
      refusal: ok ? null : `The session is ${session.state}; only a suspended session can be resumed.`,
    };
  }

  /**
   * Adds `seconds` to the session's maximum lifetime, up to `limitSeconds` in total (null: no limit). The call counts as
   * activity. Refused without any change if the session is ending, has ended, or has no maximum lifetime.
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
            // While a session is starting, `updated_at` is the time of its last progress; see admissionQueue.ts. An
            // extension is no progress.
            updated_at: sql`case when state = 'starting' then updated_at else now() end`,
          })
          .where("id", "=", id)
          .where("tenant", "=", tenant)
          .where("state", "not in", endingStates)
          .where("max_lifetime_seconds", "is not", null)
          .returning(sessionColumns),
      )
      .with("logged", logEvents("changed", "extend", actor))
      .selectFrom("changed")
      .selectAll()
      .executeTakeFirst();
    if (row !== undefined) {
      this.onEvents();
      return { session: row, refusal: null };
    }
    const session = await this.#queries.find(id, tenant);
    if (session === undefined) return undefined;
    const endless = session.maxLifetimeSeconds === null && !isEnding(session.state);
    const why = endless ? "The session has no maximum lifetime, so there is nothing to extend." : undefined;
    return { session, refusal: why ?? `The session is ${session.state}, so it can't be extended.` };
  }

  /**
   * Records activity in the session, so that it does not count as idle. Changes no version, and writes at most once in
   * 5 s.
   */
  async touch(id: string): Promise<void> {
    await this.database
      .updateTable("sessions")
      .set({ last_active_at: sql`now()` })
      .where("id", "=", id)
      .where("state", "not in", endingStates)
      .where(isActivityDue)
      .execute();
  }

  /**
   * Records in the audit trail who does what in the tenant's session, and returns the session. Returns undefined and
   * records nothing if there is no such session or if it is in none of the given states. Default: the session must be
   * running.
   */
  async noteUse(
    id: string,
    tenant: string,
    use: Use,
    what: string,
    actor: Actor,
    inStates: readonly State[] = ["running"],
  ): Promise<Session | undefined> {
    const address = addressOf(actor.address);
    const values = { id, tenant, states: inStates, use, what, actor: actor.name, address };
    const [session] = await logUse(this.database, values);
    if (session !== undefined) this.onEvents();
    return session;
  }

  /** Applies the event, and repeats that while other processes change the session. */
  async #change(
    id: string,
    tenant: string,
    event: SessionEvent,
    actor: Actor,
  ): Promise<{ session: Session; changed: boolean } | undefined> {
    for (;;) {
      const before = await this.#queries.find(id, tenant);
      if (before === undefined) return undefined;
      const result = await this.apply(before, event, actor);
      if (result === "unchanged") return { session: before, changed: false };
      if (result !== "stale") return { session: result, changed: true };
    }
  }
}
