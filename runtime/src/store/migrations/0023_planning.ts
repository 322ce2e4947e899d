import { type Kysely, sql } from "kysely";

/** One row, which counts the statements that admitted sessions; see queueCommands.ts. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table planning (
      singleton boolean primary key default true check (singleton),
      admissions bigint not null default 0
    )`.execute(db);
  await sql`insert into planning default values`.execute(db);
}
