/**
 * The tickets to desktops and the links to files that sessions' users have handed out. A signature alone opens nothing: what has
 * no row here, or one that was revoked, is refused, so a database from a backup refuses what was made after the backup.
 */
import { sql } from "kysely";
import type { Actor } from "../domain/event.ts";
import { addressOf, auditedColumns, logEvents } from "./auditTrail.ts";
import type { Database } from "./database.ts";

export type GrantKind = "desktop" | "file";

export interface NewGrant {
  /** A UUID: the `jti` of the ticket or link. */
  id: string;
  sessionId: string;
  kind: GrantKind;
  /** What it lets its holder do: `interactive`, `view`, `read` or `write`. */
  access: string;
  /** Of the file; null for a desktop. */
  path: string | null;
  madeBy: Actor;
  expiresAt: Date;
}

export interface Grant {
  id: string;
  access: string;
  path: string | null;
  madeBy: string;
  address: string | null;
  madeAt: Date;
  expiresAt: Date;
}

/** Of one session there are so many at the same time, with those that have ended within `keptSeconds`. */
export const grantsOfSession = 1_000;

/**
 * For so long the row of a grant stays after its end. What an interactive ticket opened may stay open for longer than the
 * ticket is good, so a process that can't ask Postgres for a while still learns that the ticket was revoked before its end.
 */
const keptSeconds = 300;

const hasEnded = sql<boolean>`expires_at < now() - ${keptSeconds} * interval '1 second'`;

export class Grants {
  constructor(private readonly database: Database) {}

  /** Notes a grant, and removes what has ended of the session's. False, and nothing is noted, if the session has too many. */
  async add({ id, sessionId, kind, access, path, madeBy, expiresAt }: NewGrant): Promise<boolean> {
    await this.database.deleteFrom("grants").where("session_id", "=", sessionId).where(hasEnded).execute();
    const { numInsertedOrUpdatedRows } = await this.database
      .insertInto("grants")
      .columns(["id", "session_id", "kind", "access", "path", "made_by", "address", "expires_at"])
      .expression(sql<never>`
        select ${id}::uuid, ${sessionId}::uuid, ${kind}::text, ${access}::text, ${path}::text, ${madeBy.name}::text,
          ${addressOf(madeBy.address)}::inet, ${expiresAt}::timestamptz
        where (select count(*) from grants where session_id = ${sessionId}::uuid) < ${grantsOfSession}`)
      .executeTakeFirstOrThrow();
    return Number(numInsertedOrUpdatedRows) === 1;
  }

  /** Whether the grant was noted and not revoked. Whether it has expired says the ticket or link itself. */
  async isGood(id: string): Promise<boolean> {
    const row = await this.database
      .selectFrom("grants")
      .select("id")
      .where("id", "=", id)
      .where("revoked_at", "is", null)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Which of these were revoked. */
  async revokedOf(ids: readonly string[]): Promise<string[]> {
    const rows = await this.database
      .selectFrom("grants")
      .select("id")
      .where("id", "in", ids)
      .where("revoked_at", "is not", null)
      .execute();
    return rows.map(({ id }) => id);
  }

  /** The session's grants that are good, newest first. There are no more than `grantsOfSession`. */
  async list(sessionId: string, kind: GrantKind): Promise<Grant[]> {
    return this.database
      .selectFrom("grants")
      .select(["id", "access", "path", "made_by as madeBy", "address", "made_at as madeAt", "expires_at as expiresAt"])
      .where("session_id", "=", sessionId)
      .where("kind", "=", kind)
      .where("revoked_at", "is", null)
      .where("expires_at", ">", sql<Date>`now()`)
      .orderBy("made_at", "desc")
      .execute();
  }

  /** Revokes a grant of the tenant's session, as a line of the audit trail. False if the session has no such grant that is good. */
  async revoke(id: string, kind: GrantKind, of: { sessionId: string; tenant: string }, actor: Actor): Promise<boolean> {
    const what = kind === "desktop" ? "ticket" : "link";
    const row = await this.database
      .with("revoked", (db) =>
        db
          .updateTable("grants")
          .set({ revoked_at: sql<Date>`now()` })
          .where("id", "=", id)
          .where("session_id", "=", of.sessionId)
          .where("kind", "=", kind)
          .where("revoked_at", "is", null)
          .where("expires_at", ">", sql<Date>`now()`)
          .where(sql<boolean>`exists (
            select from sessions where id = ${of.sessionId}::uuid and tenant = ${of.tenant} and warm is null)`)
          .returning("session_id"),
      )
      .with("changed", (db) =>
        db
          .selectFrom("sessions")
          .innerJoin("revoked", "revoked.session_id", "sessions.id")
          .select(auditedColumns.map((column) => `sessions.${column}` as const)),
      )
      .with("logged", logEvents("changed", kind === "desktop" ? "ticket" : "file", actor, `revokes the ${what} ${id}`))
      .selectFrom("revoked")
      .select("session_id")
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Deletes what has ended, of all sessions. The cost grows with the number of those. */
  async expire(): Promise<void> {
    await this.database.deleteFrom("grants").where(hasEnded).execute();
  }
}
