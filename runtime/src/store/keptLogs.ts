/** The ends of agents' logs, which stay for a while when their sessions have ended. */
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { sql } from "kysely";
import type { Database } from "./database.ts";

const [compress, decompress] = [promisify(gzip), promisify(gunzip)];

/** Keeps the log of the session in the place of what was kept before. */
export async function keepLog(database: Database, sessionId: string, text: string): Promise<void> {
  const log = await compress(text);
  await database
    .insertInto("session_logs")
    .values({ session_id: sessionId, log })
    .onConflict((conflict) => conflict.column("session_id").doUpdateSet({ log, kept_at: sql`now()` }))
    .execute();
}

/** What is kept of the session's log; undefined: nothing. Each line begins with its time. */
export async function keptLog(database: Database, sessionId: string): Promise<string | undefined> {
  const row = await database
    .selectFrom("session_logs")
    .select("log")
    .where("session_id", "=", sessionId)
    .executeTakeFirst();
  return row && (await decompress(row.log)).toString();
}

/** Deletes what has been kept for so many seconds and returns how many logs that were. The cost grows with their number. */
export async function expireLogs(database: Database, seconds: number): Promise<number> {
  const { numDeletedRows } = await database
    .deleteFrom("session_logs")
    .where("kept_at", "<=", sql<Date>`now() - ${seconds} * interval '1 second'`)
    .executeTakeFirst();
  return Number(numDeletedRows);
}
