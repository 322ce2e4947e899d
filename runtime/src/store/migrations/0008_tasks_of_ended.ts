import { type Kysely, sql } from "kysely";

/**
 * Sessions that ended before their end wiped the task lose it now: it has the agent's secrets. Nobody else writes rows of
 * sessions that have ended, so the update holds nobody up.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`update sessions set task = null where state in ('stopped', 'failed') and task is not null`.execute(db);
}
