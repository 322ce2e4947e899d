/** The rows that the sweep compares with the cluster. */
import { sql } from "kysely";
import type { SweptRow } from "../domain/states/compare.ts";
import { finalStates } from "../domain/states/state.ts";
import type { Database } from "./database.ts";
import { isIdle, isOverLifetime } from "./deadlines.ts";

/**
 * When the database was created: the time of its first migration. After a restore, that is the time of the dumped database.
 */
export async function rowsSince(database: Database): Promise<Date> {
  const { rows } = await sql<{
    since: Date;
  }>`select min(timestamp)::timestamptz as since from kysely_migration`.execute(database);
  return rows[0]?.since ?? new Date();
}

/**
 * Every session that is not final or whose workspace is kept, and the sessions in `ids`. `ending`: the tenants whose
 * sessions have to end; each session of theirs that has not ended is due.
 */
export async function sweptRows(database: Database, ids: string[], ending: string[]): Promise<SweptRow[]> {
  return database
    .selectFrom("sessions")
    .select(["id", "namespace", "state", "workspace_mode as workspaceMode"])
    .select([
      sql<boolean>`workspace_until is not null`.as("isKept"),
      sql<boolean>`${isIdle} or ${isOverLifetime}
        or (state not in (${sql.join(finalStates)}) and tenant = any(${ending}::text[]))`.as("isDue"),
    ])
    .where((where) =>
      where.or([
        where("state", "not in", finalStates),
        where("workspace_until", "is not", null),
        sql<boolean>`id = any(${ids}::uuid[])`,
      ]),
    )
    .execute();
}
