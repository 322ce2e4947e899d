/**
 * Grants: the desktop tickets and the links to files and ports that users have made. A valid signature is not enough: a
 * ticket or link without a row here is refused, unless an old version of Berth, which stored no rows, made it. A revoked
 * ticket or link is refused too. So after a restore from a backup, every ticket and link that was made after the backup is
 * refused, because its row is missing.
 */
import { sql } from "kysely";
import type { Actor, Use } from "../domain/event.ts";
import { addressOf, auditedColumns, logEvents } from "./auditTrail.ts";
import type { Database } from "./database.ts";

export type GrantKind = "desktop" | "file" | "port";

/** `name`: the word for a grant of the kind in the audit trail and in answers. `use`: the type of the events about it. */
const kinds: Record<GrantKind, { name: string; use: Use }> = {
  desktop: { name: "ticket", use: "ticket" },
  file: { name: "link", use: "file" },
  port: { name: "link", use: "port" },
};

export const grantName = (kind: GrantKind): string => kinds[kind].name;

export interface NewGrant {
  /** A UUID: the `jti` claim of the ticket or link. */
  id: string;
  sessionId: string;
  kind: GrantKind;
  /** What the holder may do: `interactive`, `view`, `read`, `write`, or `use` for a port. */
  access: string;
  /** The path of the file, or the path to which a port's link leads; null for a desktop. */
  path: string | null;
  /** Only of a link to a port. */
  port?: number | null;
  madeBy: Actor;
  expiresAt: Date;
}

export interface Grant {
  id: string;
  access: string;
  path: string | null;
  port: number | null;
  madeBy: string;
  address: string | null;
  madeAt: Date;
  expiresAt: Date;
}

/** The maximum number of grants of one session, including those that ended within the last `keptSeconds`. */
export const grantsOfSession = 1_000;

/**
 * How many seconds the row of a grant stays after the grant's end. A desktop that was opened by an interactive ticket may
 * stay open after the ticket's end. If the ticket was revoked before its end, a process that could not reach Postgres at
 * that time still learns of it from the row afterwards.
 */
const keptSeconds = 300;

const hasEnded = sql<boolean>`expires_at < now() - ${keptSeconds} * interval '1 second'`;

export class Grants {
  /** @param onEvents called after events were appended to the audit trail */
  constructor(
    private readonly database: Database,
    private readonly onEvents: () => void = () => {},
  ) {}

  /**
   * Stores a grant, and deletes the session's old grants. Returns false and stores nothing if the session has too many
   * grants.
   */
  async add({ id, sessionId, kind, access, path, port = null, madeBy, expiresAt }: NewGrant): Promise<boolean> {
    await this.database.deleteFrom("grants").where("session_id", "=", sessionId).where(hasEnded).execute();
    const { numInsertedOrUpdatedRows } = await this.database
      .insertInto("grants")
      .columns(["id", "session_id", "kind", "access", "path", "port", "made_by", "address", "expires_at"])
      .expression(sql<never>`
        select ${id}::uuid, ${sessionId}::uuid, ${kind}::text, ${access}::text, ${path}::text,
          ${port}::integer, ${madeBy.name}::text, ${addressOf(madeBy.address)}::inet, ${expiresAt}::timestamptz
        where (select count(*) from grants where session_id = ${sessionId}::uuid) < ${grantsOfSession}`)
      .executeTakeFirstOrThrow();
    return Number(numInsertedOrUpdatedRows) === 1;
  }

  /** Whether the grant is stored and not revoked. The ticket or link itself says whether it has expired. */
  async isGood(id: string): Promise<boolean> {
    const row = await this.database
      .selectFrom("grants")
      .select("id")
      .where("id", "=", id)
      .where("revoked_at", "is", null)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** Returns those of the ids whose grants are revoked. */
  async revokedOf(ids: readonly string[]): Promise<string[]> {
    const rows = await this.database
      .selectFrom("grants")
      .select("id")
      .where("id", "in", ids)
      .where("revoked_at", "is not", null)
      .execute();
    return rows.map(({ id }) => id);
  }

  /** The session's valid grants, newest first. There are at most `grantsOfSession`. */
  async list(sessionId: string, kind: GrantKind): Promise<Grant[]> {
    return this.database
      .selectFrom("grants")
      .select([
        "id",
        "access",
        "path",
        "port",
        "made_by as madeBy",
        "address",
        "made_at as madeAt",
        "expires_at as expiresAt",
      ])
      .where("session_id", "=", sessionId)
      .where("kind", "=", kind)
      .where("revoked_at", "is", null)
      .where("expires_at", ">", sql<Date>`now()`)
      .orderBy("made_at", "desc")
      .execute();
  }

  /**
   * Revokes a grant of the tenant's session, with an event in the audit trail. False if the session has no such valid
   * grant.
   */
  async revoke(id: string, kind: GrantKind, of: { sessionId: string; tenant: string }, actor: Actor): Promise<boolean> {
    const { name, use } = kinds[kind];
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
      .with("logged", logEvents("changed", use, actor, `revokes the ${name} ${id}`))
      .selectFrom("revoked")
      .select("session_id")
      .executeTakeFirst();
    if (row !== undefined) this.onEvents();
    return row !== undefined;
  }

  /** Deletes the oldest of the old grants of all sessions, at most `limit` of them, and returns their number. */
  async expire(limit: number): Promise<number> {
    const { numDeletedRows } = await this.database
      .deleteFrom("grants")
      .where(sql<boolean>`id = any(array(select id from grants where ${hasEnded} order by expires_at limit ${limit}))`)
      .executeTakeFirst();
    return Number(numDeletedRows);
  }
}
