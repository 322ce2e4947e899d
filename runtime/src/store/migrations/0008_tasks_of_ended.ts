import { type Kysely, sql } from "kysely";

export const transaction = false;

/** So many rows change in one transaction. */
const page = 1_000;

/**
 * Sessions that ended before their end wiped the task lose it now: it has the agent's secrets. Nobody else writes rows of
 * sessions that have ended, so the updates hold nobody up. Pages go by the key: no row is read twice.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (let last: string | undefined = "00000000-0000-0000-0000-000000000000"; last !== undefined; ) {
    const { rows }: { rows: { id: string }[] } = await sql<{ id: string }>`
      with ended as (
        select id from sessions where id > ${last} and state in ('stopped', 'failed') and task is not null
        order by id limit ${page})
      update sessions set task = null from ended where sessions.id = ended.id returning sessions.id`.execute(db);
    last = rows
      .map(({ id }) => id)
      .sort()
      .at(-1);
  }
}
