import { type Kysely, sql } from "kysely";

/**
 * Adds the name of the session's image (null: the platform's image), and whether the image has a desktop, which all images
 * had before. Postgres adds both columns without rewriting rows.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sessions add column image text, add column desktop boolean not null default true`.execute(db);
}
