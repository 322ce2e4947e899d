/** Stores the last part of each agent's log for a while after the session has ended or was suspended. */
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { sql } from "kysely";
import type { Database } from "./database.ts";

const [compress, decompress] = [promisify(gzip), promisify(gunzip)];

export class KeptLogs {
  constructor(private readonly database: Database) {}

  /** Stores the session's log in place of the log that was stored before. */
  async keep(sessionId: string, text: string): Promise<void> {
    const log = await compress(text);
    await this.database
      .insertInto("session_logs")
      .values({ session_id: sessionId, log })
      .onConflict((conflict) => conflict.column("session_id").doUpdateSet({ log, kept_at: sql`now()` }))
      .execute();
  }

  /** The stored log of the session; undefined if there is none. Each line begins with its time. */
  async of(sessionId: string): Promise<string | undefined> {
    const row = await this.database
      .selectFrom("session_logs")
      .select("log")
      .where("session_id", "=", sessionId)
      .executeTakeFirst();
    return row && (await decompress(row.log)).toString();
  }

  /**
   * Deletes the oldest logs that were stored `seconds` seconds ago or earlier, at most `limit` of them, and returns their
   * number.
   */
  async expire(seconds: number, limit: number): Promise<number> {
    const isOld = sql<boolean>`kept_at <= now() - ${seconds} * interval '1 second'`;
    const { numDeletedRows } = await this.database
      .deleteFrom("session_logs")
      .where(sql<boolean>`session_id = any(array(
        select session_id from session_logs where ${isOld} order by kept_at limit ${limit}))`)
      .where(isOld) // no newer log has been stored meanwhile
      .executeTakeFirst();
    return Number(numDeletedRows);
  }
}
