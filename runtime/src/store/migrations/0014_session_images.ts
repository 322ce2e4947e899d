import { type Kysely, sql } from "kysely";

/**
 * Which of its tenant's images a session has, null for the platform's, and whether that has a desktop, which those of before
 * all had. Postgres adds both without writing a row.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column image text, add column desktop boolean not null default true`.execute(db);
}
