import { type Kysely, sql } from "kysely";

export const transaction = false;

/** How many rows one transaction changes. */
const page = 1_000;

/**
 * Removes the tasks of ended sessions, because the tasks contain the agents' secrets. Older versions kept the task after a
 * session's end. Other processes hardly ever write rows of ended sessions, so the updates hardly delay anybody. The pages
 * follow the primary key, so no row is read twice.
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
