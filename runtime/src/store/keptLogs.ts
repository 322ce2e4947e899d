/** The ends of agents' logs, which stay for a while when their sessions have ended. */
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { sql } from "kysely";
import type { Database } from "./database.ts";

const [compress, decompress] = [promisify(gzip), promisify(gunzip)];

export class KeptLogs {
  constructor(private readonly database: Database) {}

  /** Keeps the log of the session in the place of what was kept before. */
  async keep(sessionId: string, text: string): Promise<void> {
    const log = await compress(text);
    await this.database
      .insertInto("session_logs")
      .values({ session_id: sessionId, log })
      .onConflict((conflict) => conflict.column("session_id").doUpdateSet({ log, kept_at: sql`now()` }))
      .execute();
  }

  /** What is kept of the session's log; undefined: nothing. Each line begins with its time. */
  async of(sessionId: string): Promise<string | undefined> {
    const row = await this.database
      .selectFrom("session_logs")
      .select("log")
      .where("session_id", "=", sessionId)
      .executeTakeFirst();
    return row && (await decompress(row.log)).toString();
  }

  /** Deletes what has been kept for so many seconds and returns how many logs that were. The cost grows with their number. */
  async expire(seconds: number): Promise<number> {
    const { numDeletedRows } = await this.database
      .deleteFrom("session_logs")
      .where("kept_at", "<=", sql<Date>`now() - ${seconds} * interval '1 second'`)
      .executeTakeFirst();
    return Number(numDeletedRows);
  }
}
