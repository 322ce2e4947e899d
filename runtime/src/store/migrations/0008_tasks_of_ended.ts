import { type Kysely, sql } from "kysely";

export const transaction = false;

/** So many rows change in one transaction. */
const page = 1_000;

/**
 * Sessions that ended before their end wiped the task lose it now: it has the agent's secrets. Nobody else writes rows of
 * sessions that have ended, so the updates hold nobody up.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (let wiped = 1n; wiped > 0n; ) {
    const { numAffectedRows = 0n } = await sql`
      update sessions set task = null where id in (
        select id from sessions where state in ('stopped', 'failed') and task is not null limit ${page})`.execute(db);
    wiped = numAffectedRows;
  }
}
