import { type Kysely, type RawBuilder, sql } from "kysely";

/**
 * Changes the definition of a table, in a migration that runs without a transaction. The statements are one transaction of
 * their own. This transaction gives up after waiting one second for a lock, because while it waits, all later statements of
 * other processes that use the table wait too. Each statement must be harmless when it is repeated.
 */
export const alterTable = (db: Kysely<unknown>, ...statements: RawBuilder<unknown>[]): Promise<void> =>
  db.transaction().execute(async (transaction) => {
    await sql`set local lock_timeout = '1s'`.execute(transaction);
    for (const statement of statements) await statement.execute(transaction);
  });
